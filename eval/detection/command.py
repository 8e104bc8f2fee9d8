"""`python -m eval detection PREDICTIONS --voc ROOT`: numbers of detections in files. No torch.

Everything but the parser is imported once the command line is understood, so that --help costs nothing.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from eval.arguments import RESAMPLES, add_resampling, warnings_shown
from eval.errors import EvalError
from eval.files import check_outputs, replacing

if TYPE_CHECKING:
    from eval.detection.detections import Detections
    from eval.detection.evaluation import Evaluation
    from eval.detection.ground_truth import GroundTruth
    from eval.detection.semantics import Rule, Semantics
    from eval.detection.summary import Summary

ABOUT = "average precision of detections, by VOC's rules or COCO's, with intervals and a split of the errors"
_COUNTED = "; a file whose category_id counts from 1 needs --first-category 1"
_RULES: dict[str, "Rule"] = {"11-points": "11 points", "area": "area"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes; `run` reads it."""
    parser.add_argument(
        "predictions",
        type=Path,
        help="a COCO results file (.json: a list, or an object with it as 'annotations'), a folder of VOC results "
        "files (<anything>_<class>.txt), or one of these",
    )
    where = parser.add_argument_group("ground truth, one of the two").add_mutually_exclusive_group(required=True)
    where.add_argument("--voc", type=Path, metavar="ROOT", help="VOCdevkit or the folder it is in; no image is read")
    where.add_argument("--coco", type=Path, metavar="FILE", help="instances_*.json: prints COCO's twelve numbers")
    voc = parser.add_argument_group("with --voc")
    voc.add_argument("--year", help="of the folder VOC<year> (default: 2007)")
    voc.add_argument("--image-set", metavar="SET", help="in ImageSets/Main (default: test)")
    voc.add_argument(
        "--first-category",
        type=int,
        metavar="N",
        help="category_id of aeroplane, the others follow by name (default: 0, as `transfer` writes)",
    )
    _rules(parser.add_argument_group("VOC's numbers (with --coco: where one of these or of those below is given)"))
    _analysis(parser.add_argument_group("analysis"))


def _rules(group: "argparse._ArgumentGroup") -> None:
    group.add_argument("--semantics", metavar="NAME", help="whose evaluator to be equal to (default: detectron2)")
    group.add_argument(
        "--rule",
        choices=_RULES,
        help="of average precision (default: 11-points for VOC until 2009, area for later years and COCO)",
    )
    group.add_argument("--all-semantics", action="store_true", help="the same detections by every evaluator")


def _analysis(group: "argparse._ArgumentGroup") -> None:
    add_resampling(group)
    group.add_argument("--errors", action="store_true", help="what each kind of error costs at IoU .5, as TIDE does")
    group.add_argument(
        "--curves",
        type=Path,
        metavar="FIGURE",
        help="precision over recall of every class: FIGURE (.png, .pdf, .svg), and the numbers beside it as .csv",
    )
    group.add_argument("--json", type=Path, metavar="OUT", help="write the numbers there too")


def run(args: argparse.Namespace) -> None:
    """Print the numbers, and write what was asked for. EvalError: something that the user can mend."""
    from core.data.records import DataError
    from eval.detection.detections import NoDetections

    with warnings_shown():
        warnings.simplefilter("ignore", NoDetections)  # `_evaluation` has the file's name
        try:
            summary = _summary(args)
            text = summary.text()
        except DataError as error:
            raise EvalError(str(error)) from error
    try:
        written = _write(args, summary)  # first: the reader of stdout may go away
    finally:
        sys.stdout.write(text)
    if written:
        sys.stdout.write(f"\nWritten: {', '.join(map(str, written))}\n")


def _summary(args: argparse.Namespace) -> "Summary":
    from eval.detection.summary import Summary
    from eval.difference import Differences

    _refuse_early(args)
    truth = _ground_truth(args)
    one = _evaluation(args, args.predictions, truth)
    asked = (args.semantics, args.rule, args.bootstrap, args.against, args.errors, args.curves)
    other = None if args.against is None else _evaluation(args, args.against, truth)
    drawn = (args.bootstrap or RESAMPLES, args.seed or 0)
    return Summary(
        predictions=str(args.predictions),
        evaluation=one,
        voc=truth.instances is None or any(asked),
        coco=None if truth.instances is None else one.coco,
        side_by_side=one.side_by_side() if args.all_semantics else None,
        intervals=one.intervals(*drawn) if args.bootstrap else None,
        difference=None if other is None else Differences(str(args.against), *drawn, one.minus(other, *drawn)),
        errors=one.errors() if args.errors else None,
    )


def _refuse_early(args: argparse.Namespace) -> None:
    """EvalError for what would be refused after the work, or have no effect."""
    if args.seed is not None and not args.bootstrap and args.against is None:
        raise EvalError("--seed: of --bootstrap and --against; without one of them nothing is drawn")
    outputs = [] if args.json is None else [args.json]
    if args.curves is not None:
        from eval.detection.curves import check_kind

        check_kind(args.curves)
        outputs += [args.curves, args.curves.with_suffix(".csv")]
    check_outputs(outputs, [path for path in (args.predictions, args.against, args.coco) if path is not None])


def _ground_truth(args: argparse.Namespace) -> "GroundTruth":
    from eval.detection.ground_truth import coco, voc

    given = {"year": args.year, "image_set": args.image_set, "first_category": args.first_category}
    given = {name: value for name, value in given.items() if value is not None}
    if args.coco is None:
        return voc(args.voc, **given)
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise EvalError(f"{options}: of --voc; the file of --coco says its images and category ids itself")
    return coco(args.coco)


def _evaluation(args: argparse.Namespace, path: Path, truth: "GroundTruth") -> "Evaluation":
    from eval.detection.detections import UnknownCategory
    from eval.detection.evaluation import Evaluation
    from eval.detection.reading import read_detections

    try:
        detections = read_detections(path, truth.classes, {number: k for k, number in enumerate(truth.category_ids)})
    except UnknownCategory as error:
        raise EvalError(f"{error}{_COUNTED if args.coco is None else ''}") from None
    if not len(detections.scores):
        warnings.warn(f"{path}: no detections at all, which scores 0", stacklevel=2)
    if args.coco is None and args.first_category is None and not path.is_dir() and path.suffix != ".txt":
        _warn_of_a_shift(path, detections, truth)
    rule = truth.rule if args.rule is None else _RULES[args.rule]
    one = Evaluation(detections, truth, _semantics(args.semantics or "detectron2"), rule)
    try:
        one.truth.positions(detections.image_ids)
    except EvalError as error:  # which of two files it is
        raise EvalError(f"{path}: {error}") from None
    return one


def _warn_of_a_shift(path: Path, detections: "Detections", truth: "GroundTruth") -> None:
    """Ids that count from 1 are all known where the last class has no detection: every class is then one off."""
    if set(detections.labels.tolist()) == set(range(1, len(truth.classes))):
        warnings.warn(f"{path}: no detection of {truth.classes[0]}, but of all other classes{_COUNTED}", stacklevel=3)


def _semantics(name: str) -> "Semantics":
    from eval.detection.semantics import SEMANTICS

    if name not in SEMANTICS:
        raise EvalError(f"--semantics {name}: expected one of {', '.join(SEMANTICS)}")
    return SEMANTICS[name]


def _write(args: argparse.Namespace, summary: "Summary") -> list[Path]:
    """The files that were asked for."""
    from eval.detection.curves import draw, write_csv

    written = []
    one = summary.evaluation
    if args.curves is not None:
        numbers = args.curves.with_suffix(".csv")
        draw(one.matches, one.ground_truth.classes, one.table, args.curves)
        write_csv(one.matches, one.ground_truth.classes, numbers)
        written += [args.curves, numbers]
    if args.json is not None:
        with replacing(args.json) as part:
            part.write_text(json.dumps(summary.as_json(), indent=1) + "\n", encoding="utf-8")
        written.append(args.json)
    return written
