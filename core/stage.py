"""What every stage's command does: read the config, refuse or skip, run, write the result last.

`python -m <stage> CONFIG [--run DIR] [--backbone SOURCE] [--row NAME] [--force] [--config.fields ...]`

This module imports torch only where a cell runs, so that digests cost nothing.
"""

import argparse
import errno
import logging
import os
import re
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from core import provenance
from core.config import digest, load, override, plain, unhashed
from core.data.records import Need
from core.data.synthetic import World
from core.errors import UserError
from core.run import RESULT, Run, open_run
from core.seeding import derive

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_log = logging.getLogger(__name__)
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)  # what a user can mend about a disk


@dataclass(frozen=True, kw_only=True)
class Stage(ABC):
    """What the configs of all stages share."""

    seed: int = 0
    """Seed of everything random: weights, data order, augmentation, mixing."""
    data_root: Path | None = unhashed(None)
    """Folder that holds the data sets. Default: the synthetic world's own folder, or ./data."""
    world: World | None = None
    """Synthetic world to write first, where no data root is given."""
    device: Literal["auto", "cpu", "cuda", "mps"] = unhashed("auto")
    """Where to run; "auto": on a GPU where there is one."""
    workers: int = unhashed(0)
    """Processes that load data; 0: in this process."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Lightning Fabric's precision: "32-true", "bf16-mixed", "16-mixed"."""
    checkpoint_every: float = unhashed(300.0)
    """Seconds between checkpoints; one is also written on SIGTERM and at the end of training."""
    log_every: float = unhashed(10.0)
    """Seconds between progress lines where there is no terminal."""
    compile: bool = unhashed(False)
    """Compile the network with torch.compile where it is trained: minutes at the start, faster steps after."""
    tensorboard: bool = unhashed(False)
    """Write metrics.jsonl's numbers for TensorBoard too, into the run's folder."""

    @abstractmethod
    def needs(self) -> tuple[Need, ...]:
        """The data sets and splits that a cell of this config reads."""

    @abstractmethod
    def images(self, count: Callable[[Need], int]) -> int:
        """How many images a cell of this config processes, given the number of images in each split."""

    @property
    def root(self) -> Path:
        """The folder that holds the data sets."""
        if self.data_root is not None:
            return self.data_root
        return self.world.default_root() if self.world is not None else Path("data")

    def prepare(self) -> None:
        """Write the synthetic world if this config reads one and it is not there yet."""
        if self.data_root is None and self.world is not None:
            self.world.ensure(self.root)


@dataclass(frozen=True)
class Metric:
    """A number with what is needed to read it. value: None where it does not apply (`Outcome.more` says why)."""

    value: float | None
    unit: str
    higher_is_better: bool


@dataclass(frozen=True)
class Outcome:
    """What a cell found: its metrics, and anything else worth keeping in result.json."""

    metrics: dict[str, Metric]
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """One cell under way: its folder, the data's root, its config, the backbone's source, and the device (`fabric`)."""

    run: Run
    root: Path
    config: Stage
    backbone: str | None
    fabric: "Fabric"
    row: str


StageT = TypeVar("StageT", bound=Stage)


def fingerprint(config: Stage) -> str:
    """16 hexadecimal digits of the data that a config reads: ids, sizes and annotations, not where they lie.

    Raises:
        UserError: a data set is missing or has the wrong layout.
    """
    root = config.root
    return digest(
        [
            [need.data.name, need.split, need.data.fingerprint(root, need.split, boxes=need.boxes)]
            for need in config.needs()
        ]
    )


def cell_digest(config: Stage, data: str, upstream: str | None) -> str:
    """The digest of a cell: its config, its data's fingerprint, and the digest of the step before."""
    return digest({"config": plain(config, hashed_only=True), "data": data, "upstream": upstream})


def upstream_digest(backbone: str | None) -> str | None:
    """The digest of the step that a backbone comes from: of its run, of the file, or the library's name.

    Raises:
        UserError: a run that is not done, or a file that does not exist.
    """
    if backbone is None:
        return None
    path = Path(backbone)
    if path.is_dir():
        return str(provenance.read_result(path)["digest"])
    if path.is_file():
        return "sha256:" + provenance.sha256(path)
    if backbone.partition(":")[0] in ("timm", "torchvision"):
        return backbone
    raise UserError(f"backbone {backbone}: expected a run folder, a .safetensors file, timm:NAME or torchvision:NAME")


def main(
    stage: str,
    kind: type[StageT],
    execute: Callable[[StageT, Job], Outcome],
    argv: Sequence[str] | None,
    *,
    prog: str | None = None,
    errors: type[Exception] = UserError,
) -> int:
    """A stage's command. Returns the exit code: 0 done (now or before), 2 something the user can mend, 1 a crash.

    Args:
        stage: "pretrain", "transfer" or "wsol": the first folder below runs/.
        kind: the class that the config must be of.
        execute: runs the cell.
        argv: the command line after `python -m <stage>`.
        prog: the command's name in messages.
        errors: an exception beside UserError that is the user's to mend.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    try:
        return _main(stage, kind, execute, list(sys.argv[1:] if argv is None else argv), prog or f"python -m {stage}")
    except (UserError, errors) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on from the last checkpoint", file=sys.stderr, flush=True)  # noqa: T201
        return 130
    except OSError as error:
        if error.errno not in _DISK:
            traceback.print_exc()
            return 1
        print(f"error: {error}; nothing finished is lost, the same command goes on", file=sys.stderr)  # noqa: T201
        return 2
    except Exception:  # a crash: the code 1 tells the launcher so, and the traceback goes to the cell's log
        traceback.print_exc()
        return 1


def _main(stage: str, kind: type[StageT], execute: Callable[[StageT, Job], Outcome], argv: list[str], prog: str) -> int:
    parser = _parser(prog)
    if not argv or argv[0] in ("-h", "--help"):
        print(parser.format_help())  # noqa: T201
        return 0 if argv else 2
    options, rest = parser.parse_known_args(argv)
    config = load(options.config)
    if not isinstance(config, kind):
        raise UserError(
            f"{options.config}: expected a {kind.__name__} for `{prog}`, it defines a {type(config).__name__}"
        )
    config = override(config, rest, prog=f"{prog} {options.config}")
    stem = Path(options.config).stem
    upstream = upstream_digest(options.backbone)
    row, steps = _row(stem, options)
    _refuse_several_processes()
    folder = options.run or options.runs.joinpath(
        stage, stem, *steps, *([row] if options.backbone else []), f"seed{config.seed}"
    )
    config.prepare()
    data = fingerprint(config)
    cell = cell_digest(config, data, upstream)
    description = {"digest": cell, "config": plain(config, hashed_only=True), "fingerprint": data, "upstream": upstream}
    run = open_run(folder, description, force=options.force, log_every=config.log_every)
    if run.done:
        _log.info("%s is done already (digest %s)", folder / RESULT, cell)
        return 0
    job = Job(run, config.root, config, options.backbone, fabric(config), row)
    _log.info("%s: %s on %s", folder, options.config, job.fabric.device)
    _seed(config.seed)
    outcome = execute(config, job)
    result = {
        "schema": 1,
        "stage": stage,
        "config": stem,
        "row": row,
        "steps": steps,
        "seed": config.seed,
        "metrics": {name: vars(metric) for name, metric in outcome.metrics.items()},
        "data": provenance.data_used(config.needs(), config.root),
        **{key: description[key] for key in ("digest", "fingerprint", "upstream")},
        "config_digest": digest(description["config"]),
        "backbone_sha256": provenance.backbone_sha256(options.backbone),
        **provenance.environment(job.fabric.device),
        "seconds": round(run.seconds, 3),
        "more": outcome.more,
    }
    run.finish(result)
    for name, metric in outcome.metrics.items():
        value = "n/a" if metric.value is None else f"{metric.value:.2f} {metric.unit}"
        _log.info("%s: %s", name, value)
    return 0


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        usage=f"{prog} CONFIG [options] [--field.of.the.config VALUE ...]",
        epilog=f"`{prog} CONFIG --help` lists the fields of that config.",
        allow_abbrev=False,
        add_help=False,  # of a config: tyro gives it
    )
    parser.add_argument("config", help="a config file, or its name below configs/")
    parser.add_argument("--run", type=Path, help="the run's folder (default: from the config's name)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="the folder of all runs")
    parser.add_argument("--backbone", help="a run folder, a .safetensors file, timm:NAME or torchvision:NAME")
    parser.add_argument("--row", help="the row's name in tables (default: from the backbone, or from --run)")
    parser.add_argument("--force", action="store_true", help="replace what is in the run's folder")
    return parser


def _row(stem: str, options: argparse.Namespace) -> tuple[str, list[str]]:
    """The row's name, and the stems of all steps between the row's backbone and this one, as tables name folders.

    Both come from the backbone's result where it is a run. A backbone that is made here is a row of its own: it has the
    name of its folder, as runs/pretrain/ROW/seedN has it, so that one with other fields than its config's does not
    pass for the config's.
    """
    if options.backbone is None:
        return options.row or (stem if options.run is None else _row_of(options.run) or stem), []
    if not Path(options.backbone).is_dir():
        return options.row or provenance.slug(options.backbone), []
    before = provenance.read_result(Path(options.backbone))
    steps = [] if before["stage"] == "pretrain" else [*before.get("steps", []), str(before["config"])]
    return options.row or str(before["row"]), steps


def _row_of(run: Path) -> str:
    folder = run.absolute()
    return provenance.slug((folder.parent if re.fullmatch(r"seed\d+", folder.name) else folder).name)


def _refuse_several_processes() -> None:
    """Under torchrun every process would take itself for the only one, and write the same folder."""
    count = os.environ.get("WORLD_SIZE", "1")
    if count != "1":
        raise UserError(
            f"WORLD_SIZE={count}: expected one process a cell; training on several devices at once is not there yet. "
            "Start the command without torchrun; `python -m launch` runs one cell on each GPU"
        )


def _seed(seed: int) -> None:
    """Fresh weights are the same for every row of a seed, so that rows are compared in pairs."""
    import torch

    torch.manual_seed(derive(seed, "weights"))


def fabric(config: Stage) -> "Fabric":
    """The device and precision that a config asks for. UserError: there is no such device."""
    import torch
    from lightning_fabric import Fabric

    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device=cuda: expected a CUDA device, torch sees none; use --device auto or cpu")
    if config.device == "mps" and not torch.backends.mps.is_available():
        raise UserError("device=mps: expected an Apple GPU, torch sees none; use --device auto or cpu")
    # One device and one process a cell: Fabric takes no note of torchrun's other processes with devices=1.
    found = Fabric(accelerator=config.device, devices=1, precision=config.precision)
    found.launch()
    return found
