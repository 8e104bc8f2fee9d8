"""`python -m eval captions RESULTS --references FILE`: numbers of captions in files. No torch.

Everything but the parser is imported once the command line is understood, so that --help costs nothing.
"""

import argparse
import json
import logging
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from eval.arguments import RESAMPLES, resamples, seed, warnings_shown
from eval.errors import EvalError
from eval.files import refuse_unwritable, replacing

if TYPE_CHECKING:
    from eval.captions.gallery import Gallery
    from eval.captions.scores import CaptionScores
    from eval.captions.summary import Summary, Truth

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
    group.add_argument(
        "--bootstrap", type=resamples, default=0, metavar="N", help="95%% intervals from N resamples of the images"
    )
    group.add_argument(
        "--against",
        type=Path,
        metavar="OTHER",
        help=f"other results: the difference, in the same resamples ({RESAMPLES} unless --bootstrap says)",
    )
    group.add_argument("--seed", type=seed, help="of the resamples (default: 0)")
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
            scored = _Scored.of(args)
            summary = _summary(args, scored)
            outputs = _outputs(args, scored, summary)
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


@dataclass(frozen=True, eq=False)
class _Scored:
    """Results on their references; `other` and what is of it: --against."""

    captions: dict[int, str]
    references: dict[int, tuple[str, ...]]
    """Of the same images."""
    truth: "Truth"
    scores: "CaptionScores"
    other_captions: dict[int, str] | None
    other: "CaptionScores | None"
    training: list[str] | None

    @classmethod
    def of(cls, args: argparse.Namespace) -> "_Scored":
        """All files are read and checked before anything is scored."""
        from eval.captions.reading import matched, read_references, read_results, read_training
        from eval.captions.summary import Truth

        captions = read_results(args.results)
        found = read_references(args.references, args.split)
        references = matched(args.results, captions, args.references, found, args.subset)
        others = None if args.against is None else _others(args, captions, found)
        training = None if args.training is None else read_training(args.training)
        name = str(args.references) if args.split is None else f"{args.references} {args.split}"
        truth = Truth(name, len(found), sum(map(len, found.values())))
        mine = _score(args, args.results, captions, references)
        other = None if others is None else _score(args, args.against, others, references)
        return cls(captions, references, truth, mine, others, other, training)


def _others(
    args: argparse.Namespace, captions: dict[int, str], references: dict[int, tuple[str, ...]]
) -> dict[int, str]:
    """Captions of --against for the images of `captions`, in that order. With --subset there may be more of them."""
    from eval.captions.reading import matched, read_results
    from eval.columns import count

    others = read_results(args.against)
    matched(args.against, others, args.references, references, args.subset)
    if missing := [image for image in captions if image not in others]:
        shown = ", ".join(map(str, missing[:10]))
        raise EvalError(f"{args.against}: no caption of {count(len(missing), 'image')} of {args.results}: {shown}")
    return {image: others[image] for image in captions}


def _score(
    args: argparse.Namespace, path: Path, captions: dict[int, str], references: dict[int, tuple[str, ...]]
) -> "CaptionScores":
    """What the scores log becomes a warning that names the file: there may be two."""
    from eval.captions.scores import score

    log, said = logging.getLogger("eval.captions"), _Said(logging.WARNING)
    log.addHandler(said)
    log.propagate = False
    try:
        scores = score(captions, references, args.metrics, args.tokenizer)
    finally:
        log.removeHandler(said)
        log.propagate = True
    for message in said.messages:
        warnings.warn(f"{path}: {message}", stacklevel=2)
    return scores


class _Said(logging.Handler):
    """Keeps what is logged."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _summary(args: argparse.Namespace, scored: _Scored) -> "Summary":
    from eval.captions.bootstrap import differences, intervals
    from eval.captions.diversity import diversity
    from eval.captions.summary import Summary
    from eval.captions.tokens import tokenize

    training = None if scored.training is None else tokenize(scored.training, args.tokenizer)
    drawn = (args.bootstrap or RESAMPLES, args.seed or 0)
    return Summary(
        results=str(args.results),
        truth=scored.truth,
        tokenizer=args.tokenizer,
        scores=scored.scores,
        diversity=diversity(scored.scores.tokens.candidates, training),
        training="" if training is None else f"the {len(training):,} captions of {args.training}",
        intervals=intervals(scored.scores, *drawn) if args.bootstrap else None,
        against=str(args.against),
        difference=None if scored.other is None else differences(scored.scores, scored.other, *drawn),
    )


def _outputs(args: argparse.Namespace, scored: _Scored, summary: "Summary") -> dict[Path, str]:
    """The files that were asked for, with their contents."""
    from eval.captions.summary import per_image

    made: dict[Path, Callable[[], str]] = {
        args.json: lambda: json.dumps(summary.as_json(), indent=1) + "\n",
        args.per_image: lambda: per_image(scored.scores, scored.captions),
        args.gallery: lambda: _gallery(args, scored).page(),
    }
    return {path: make() for path, make in made.items() if path is not None}


def _gallery(args: argparse.Namespace, scored: _Scored) -> "Gallery":
    from eval.captions.gallery import Gallery, Other
    from eval.captions.reading import image_files

    pictures = None
    if args.images is not None:
        names = image_files(args.references, scored.captions)
        pictures = {image: args.images / name for image, name in names.items()}
    other = None
    if scored.other is not None and scored.other_captions is not None:
        other = Other(str(args.against), scored.other, scored.other_captions)
    return Gallery(
        str(args.results), scored.scores, scored.captions, scored.references, pictures,
        by=args.gallery_by or "cider", count=args.gallery_count or _COUNT, other=other,
    )  # fmt: skip


def _refuse_early(args: argparse.Namespace) -> None:
    """EvalError for what would be refused after the work, or have no effect."""
    from eval.captions.scores import METRICS

    if unknown := [name for name in args.metrics if name not in METRICS]:
        raise EvalError(f"--metrics {','.join(unknown)}: expected some of {','.join(METRICS)}")
    if args.seed is not None and not args.bootstrap and args.against is None:
        raise EvalError("--seed: of --bootstrap and --against; without one of them nothing is drawn")
    if args.gallery is None:
        _refuse_without_gallery(args)
    elif (by := args.gallery_by or "cider") not in args.metrics and not ("bleu" in args.metrics and by in _BLEU):
        raise EvalError(f"--gallery ranks by {by}, which is none of --metrics {','.join(args.metrics)}: --gallery-by")
    if args.images is not None and not args.images.is_dir():
        raise EvalError(f"--images {args.images}: no such folder")
    inputs = {path.resolve() for path in (args.results, args.references, args.against, args.training) if path}
    outputs = [path for path in (args.json, args.per_image, args.gallery) if path is not None]
    for path in outputs:
        refuse_unwritable(path)
        if path.resolve() in inputs:
            raise EvalError(f"{path}: is read; it is not written over")
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise EvalError(f"{', '.join(map(str, outputs))}: two files of one name")


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
