"""`python -m eval captions RESULTS --references FILE`: numbers of captions in files. No torch.

Everything but the parser is imported once the command line is understood, so that --help costs nothing.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from eval.arguments import RESAMPLES, add_resampling, warnings_shown
from eval.errors import EvalError
from eval.files import check_outputs, replacing

if TYPE_CHECKING:
    from eval.captions.evaluation import Evaluation
    from eval.captions.summary import Summary

ABOUT = "BLEU, METEOR, ROUGE-L, CIDEr of captions, as the COCO caption server computes them, with intervals"
_METRICS = ("bleu", "meteor", "rouge_l", "cider")
_BLEU = ("bleu1", "bleu2", "bleu3", "bleu4")
_COUNT = 10  # of --gallery


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes; `run` reads it."""
    parser.add_argument(
        "results",
        type=Path,
        help='a COCO results file: a list of {"image_id", "caption"}, or an object with it as "annotations"',
    )
    truth = parser.add_argument_group("what they are compared with")
    truth.add_argument(
        "--references",
        type=Path,
        required=True,
        metavar="FILE",
        help="captions_*.json of COCO, or dataset_*.json of Karpathy with --split; no image is read",
    )
    truth.add_argument("--split", help="of Karpathy's file: val, test")
    truth.add_argument(
        "--subset",
        action="store_true",
        help="score the images that the results have; without it a missing one is an error",
    )
    _metrics(parser.add_argument_group("numbers"))
    _analysis(parser.add_argument_group("analysis"))
    _files(parser.add_argument_group("files"))


def _metrics(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--metrics",
        type=_words,
        default=_METRICS,
        metavar="NAMES",
        help=f"with commas (default: {','.join(_METRICS)}); a name that is not known shows those that are",
    )
    group.add_argument(
        "--tokenizer",
        choices=("ptb", "regex"),
        default="ptb",
        help="ptb: the caption server's, by Java (default). regex: without Java, close to it; not for numbers that "
        "are compared with published ones",
    )


def _analysis(group: "argparse._ArgumentGroup") -> None:
    add_resampling(group)
    group.add_argument(
        "--training",
        type=Path,
        metavar="FILE",
        help="training captions (of Karpathy's file: train and restval): how many captions are not among them",
    )


def _files(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--json", type=Path, metavar="OUT", help="write the numbers there too")
    group.add_argument("--per-image", type=Path, metavar="OUT", help="write the scores of every image there, as CSV")
    group.add_argument(
        "--gallery", type=Path, metavar="OUT", help="write the best, median and worst captions there, as HTML"
    )
    group.add_argument("--images", type=Path, metavar="FOLDER", help="of --gallery: where the image files lie")
    group.add_argument("--gallery-by", metavar="NUMBER", help="of --gallery: what captions are ranked by (cider)")
    group.add_argument("--gallery-count", type=_count, metavar="N", help=f"of --gallery: how many of each ({_COUNT})")


def run(args: argparse.Namespace) -> None:
    """Print the numbers, and write what was asked for. EvalError: something that the user can mend."""
    from core.data.records import DataError

    with warnings_shown():
        _refuse_early(args)
        try:
            pictures = None if args.images is None else _pictures(args)
            found = _evaluation(args)
            summary = _summary(args, found)
            outputs = _outputs(args, found, summary, pictures)
        except DataError as error:
            raise EvalError(str(error)) from error
    try:
        for path, content in outputs.items():  # first: the reader of stdout may go away
            with replacing(path) as part:
                part.write_bytes(content.encode())
    finally:
        sys.stdout.write(summary.text())
    if outputs:
        sys.stdout.write(f"\nWritten: {', '.join(map(str, outputs))}\n")


def _evaluation(args: argparse.Namespace) -> "Evaluation":
    from eval.captions.evaluation import evaluate

    return evaluate(
        args.results, args.references, args.metrics, split=args.split, subset=args.subset, tokenizer=args.tokenizer,
        against=args.against, training=args.training,
    )  # fmt: skip


def _summary(args: argparse.Namespace, found: "Evaluation") -> "Summary":
    from eval.captions.bootstrap import differences, intervals
    from eval.captions.diversity import diversity
    from eval.captions.summary import Summary
    from eval.captions.tokens import tokenize
    from eval.difference import Differences

    training = None if found.training is None else tokenize(found.training, args.tokenizer)
    drawn = (args.bootstrap or RESAMPLES, args.seed or 0)
    scores, other = found.one.scores, found.other
    return Summary(
        results=found.one.name,
        truth=found.truth,
        tokenizer=args.tokenizer,
        scores=scores,
        diversity=diversity(scores.tokens.candidates, training),
        training="" if training is None else f"the {len(training):,} captions of {args.training}",
        intervals=intervals(scores, *drawn) if args.bootstrap else None,
        difference=None
        if other is None
        else Differences(other.name, *drawn, differences(scores, other.scores, *drawn)),
    )


def _outputs(
    args: argparse.Namespace, found: "Evaluation", summary: "Summary", pictures: Mapping[int, Path] | None
) -> dict[Path, str]:
    """The files that were asked for, with their contents."""
    from eval.captions.summary import per_image

    made = {}
    if args.json is not None:
        made[args.json] = json.dumps(summary.as_json(), indent=1) + "\n"
    if args.per_image is not None:
        made[args.per_image] = per_image(found.one)
    if args.gallery is not None:
        made[args.gallery] = _page(args, found, pictures)
    return made


def _page(args: argparse.Namespace, found: "Evaluation", pictures: Mapping[int, Path] | None) -> str:
    from eval.captions.gallery import Gallery

    gallery = Gallery(
        found.one, found.references, pictures, by=args.gallery_by or "cider", count=args.gallery_count or _COUNT,
        other=found.other, tokenizer=args.tokenizer,
    )  # fmt: skip
    return gallery.page()


def _pictures(args: argparse.Namespace) -> dict[int, Path]:
    """The image files by id, whether they are there or not. EvalError: none is, which is said before the work."""
    from eval.captions.reading import image_files

    found = {image: args.images / name for image, name in image_files(args.references).items()}
    if not any(path.is_file() for path in found.values()):
        such = f", such as {next(iter(found.values()))}" if found else ""
        raise EvalError(f"--images {args.images}: none of the {len(found):,} files that {args.references} names{such}")
    return found


def _refuse_early(args: argparse.Namespace) -> None:
    """EvalError for what would be refused after the work, or have no effect."""
    from eval.captions.scores import require

    require(args.metrics, args.tokenizer)
    for path in (args.references, args.training):
        if path is not None and path.is_fifo():
            raise EvalError(f"{path}: a pipe, which can be read only once; write it to a file first")
    if args.seed is not None and not args.bootstrap and args.against is None:
        raise EvalError("--seed: of --bootstrap and --against; without one of them nothing is drawn")
    if args.gallery is None:
        _refuse_without_gallery(args)
    elif (by := args.gallery_by or "cider") not in (ranks := _ranks(args.metrics)):
        raise EvalError(f"--gallery ranks by {by}, which --metrics does not ask for: --gallery-by {'|'.join(ranks)}")
    if args.images is not None and not args.images.is_dir():
        raise EvalError(f"--images {args.images}: no such folder")
    inputs = (args.results, args.references, args.against, args.training)
    outputs = (args.json, args.per_image, args.gallery)
    check_outputs([path for path in outputs if path], [path for path in inputs if path])


def _ranks(metrics: Sequence[str]) -> list[str]:
    """The numbers that there will be: BLEU is four."""
    return [key for name in metrics for key in (_BLEU if name == "bleu" else (name,))]


def _refuse_without_gallery(args: argparse.Namespace) -> None:
    given = {"--images": args.images, "--gallery-by": args.gallery_by, "--gallery-count": args.gallery_count}
    if names := [name for name, value in given.items() if value is not None]:
        raise EvalError(f"{', '.join(names)}: of --gallery, which says where the page goes")


def _words(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if not words:
        raise argparse.ArgumentTypeError("expected at least one name")
    return words


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text}, expected a whole number, 1 or more")
    return int(text)
