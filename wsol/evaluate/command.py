"""`python -m wsol evaluate MAPS --metadata FOLDER`: how well score maps localize. No torch.

Everything but the parser is imported once the command line is understood, so that --help costs nothing.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from wsol.evaluate.interrupt import Interrupt
from wsol.evaluate.request import Request

_ABOUT = "How well score maps localize: boxes and masks, over all thresholds in one pass."
_EPILOG = (
    "exit codes: 0 done, 1 a worker process died, 2 input or options that you can mend, 130 Ctrl-C. "
    "With --out, a command that was stopped goes on where it was when it is given again. docs/wsol.md tells it all."
)


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code: 0, 1 a worker died, 2 something the user can mend, 130 Ctrl-C."""
    args = parser().parse_args(list(argv))
    request = Request(**vars(args))
    with Interrupt() as interrupt:
        return _run(request, interrupt)


def _run(request: Request, interrupt: Interrupt) -> int:
    from core.errors import UserError
    from eval.errors import EvalError
    from wsol.evaluate.pool import WorkerDied
    from wsol.evaluate.run import run

    try:
        sys.stdout.write(run(request, sys.stderr, interrupt, terminal=sys.stdout.isatty()))
    except (UserError, EvalError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except WorkerDied as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        kept = f"; the same command goes on from what is in {request.out}" if request.out else ""
        sys.stderr.write(f"stopped{kept}\n")
        return 128 + signal.SIGINT
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line; its fields are those of `Request`."""
    found = argparse.ArgumentParser(
        prog="python -m wsol evaluate", description=_ABOUT, epilog=_EPILOG, allow_abbrev=False
    )
    _inputs(found.add_argument_group("input"))
    _settings(found.add_argument_group("how maps become boxes"))
    _outputs(found.add_argument_group("output and work"))
    return found


def _inputs(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("maps", type=Path, help="folder of .npy or of shards, .npz, .npy [N, H, W] with --ids, or .zip")
    group.add_argument("--metadata", type=Path, required=True, help="folder with image_ids.txt, localization.txt ...")
    group.add_argument("--ids", type=Path, help="the ids of a .npy of all maps, one a line")
    group.add_argument(
        "--predictions", type=Path, help="classes per image, best first (CSV: id,class,class...): gives top-1, top-5"
    )
    group.add_argument(
        "--masks",
        dest="mask_root",
        type=Path,
        metavar="FOLDER",
        help="folder below which mask files are (default: the metadata's)",
    )
    group.add_argument(
        "--classes",
        type=_positive,
        metavar="N",
        help="classes that the classifier knows: a label beyond 0 to N - 1 is an error (default: as shards say)",
    )
    group.add_argument(
        "--window",
        default="whole",
        metavar="WHAT",
        help="the part of its image that a map covers, unless shards say so: whole (default), squash:256:224, "
        "short:256:224 (both a centre crop) or pad:224",
    )
    group.add_argument("--select-on", type=Path, metavar="MAPS", help="score maps of the split that chooses thresholds")
    group.add_argument("--select-metadata", type=Path, metavar="FOLDER", help="its metadata")
    group.add_argument("--select-ids", type=Path, metavar="FILE", help="its ids, as --ids")
    group.add_argument("--select-predictions", type=Path, metavar="FILE", help="its classes, as --predictions")
    group.add_argument("--skip-bad", action="store_true", help="leave bad images out and list them in the result")


def _settings(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--geometry",
        choices=("corrected", "compat", "both"),
        default="corrected",
        help="compat: wsolevaluation's numbers, quirks included (default: %(default)s)",
    )
    group.add_argument(
        "--threshold", type=float, default=0.15, help="the fixed threshold, of a map's scale (default: %(default)s)"
    )
    group.add_argument(
        "--scale",
        choices=("max", "minmax"),
        default="max",
        help="a threshold is a fraction of a map's maximum, or of the way from minimum to maximum (default: max)",
    )
    group.add_argument(
        "--levels",
        type=_levels,
        default=1000,
        metavar="N|exact",
        help="thresholds of maps of floats, and of compat; 8-bit maps are always exact in corrected (default: 1000)",
    )
    group.add_argument(
        "--resamples", type=_natural, default=1000, help="bootstrap resamples for the intervals (default: 1000)"
    )


def _outputs(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--out", type=Path, help="folder for result.json, rows and figures; without it: print only")
    group.add_argument("--resume", action="store_true", help="go on only: an error where --out holds nothing begun")
    group.add_argument("--jobs", type=_positive, default=1, help="processes (default: 1)")
    group.add_argument(
        "--rows", choices=("csv", "parquet", "none"), default="csv", help="one row an image (default: csv)"
    )
    group.add_argument(
        "--figures", action=argparse.BooleanOptionalAction, default=True, help="draw figures (default: yes)"
    )
    group.add_argument("--images", type=Path, help="folder of the images, below which ids are paths, for the gallery")


def _levels(text: str) -> int | Literal["exact"]:
    if text != "exact" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text}, expected a whole number or exact")
    return "exact" if text == "exact" else int(text)


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text}, expected at least 0")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}, expected at least 1")
    return number
