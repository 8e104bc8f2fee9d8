"""Pascal VOC average precision, vectorised over detections, by the rules of any of five programs.

Boxes come in as half-open pixels with origin 0: x0, y0, x1, y1 with x1 - x0 the width. `eval.detection.semantics` says
by what rules they are compared, `eval.detection.matching` compares them; here fates become numbers.

Letters: D detections, K classes, T thresholds of IoU.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from eval.detection.detections import Detections, NoDetections
from eval.detection.matching import Matches, match
from eval.detection.semantics import SEMANTICS, Rule, Semantics
from eval.detection.truth import Scene, Truth
from eval.errors import EvalError

IOUS = tuple(percent / 100 for percent in range(50, 100, 5))
"""COCO's ten thresholds, .50 to .95."""
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, float("inf"))}
"""COCO's ranges of an object's area in square pixels: from, and below."""


@dataclass(frozen=True)
class SizeScores:
    """Means over the classes that have objects of one size, in percent."""

    ap50: float
    ap75: float
    ap: float
    objects: int
    """How many objects of this size are asked for."""


@dataclass(frozen=True)
class VocScores:
    """Means over the classes that have ground truth, in percent."""

    ap50: float
    ap75: float
    ap: float
    """Mean over the ten thresholds."""
    ap50_per_class: dict[str, float]
    ap75_per_class: dict[str, float]
    ap_per_class: dict[str, float]
    without_ground_truth: tuple[str, ...]
    """Classes left out of the means: no object that is asked for."""
    per_size: dict[str, SizeScores]
    """By the names of SIZES; a size that no object has is left out. `Matches.of_size` has the rule."""


def voc_ap(
    detections: Detections,
    scenes: Iterable[Scene],
    classes: Sequence[str],
    rule: Rule = "11 points",
    semantics: Semantics = SEMANTICS["detectron2"],
) -> VocScores:
    """AP50, AP75 and AP of detections, over the classes with ground truth.

    No detections at all give zeros and a warning. Raises EvalError as `match` and `Truth.of`, and where no class has an
    object to find.
    """
    return scores(match(detections, Truth.of(scenes, len(classes)), IOUS, semantics), classes, rule)


def scores(matches: Matches, classes: Sequence[str], rule: Rule = "11 points") -> VocScores:
    """The same of detections matched at the ten IOUS."""
    assert matches.ious == IOUS, f"matched at {matches.ious}, AP50 and AP75 are read from {IOUS}"
    table = 100 * average_precision(matches, rule)  # [K, T]
    present: list[int] = np.flatnonzero(matches.asked).tolist()
    if not present:
        raise EvalError(f"ground truth: none of {len(classes)} classes has an object that is asked for")
    if not len(matches.index):
        warnings.warn("no detections at all: every average precision is 0", NoDetections, stacklevel=2)
    ap50, ap75, ap = _means(table[present])
    return VocScores(
        ap50=ap50,
        ap75=ap75,
        ap=ap,
        ap50_per_class={classes[k]: float(table[k, 0]) for k in present},
        ap75_per_class={classes[k]: float(table[k, IOUS.index(0.75)]) for k in present},
        ap_per_class={classes[k]: float(table[k].mean()) for k in present},
        without_ground_truth=tuple(name for k, name in enumerate(classes) if k not in present),
        per_size={name: found for name, limits in SIZES.items() if (found := _of_size(matches.of_size(*limits), rule))},
    )


def average_precision(matches: Matches, rule: Rule = "11 points") -> np.ndarray:
    """Average precision of every class at every threshold: [K, T] fractions, NaN for a class without ground truth."""
    asked = matches.asked
    table = np.full((len(asked), len(matches.ious)), np.nan)
    order = np.argsort(matches.labels.astype(np.uint16 if len(asked) < 2**16 else np.int64), kind="stable")
    bounds = np.searchsorted(matches.labels[order], np.arange(len(asked) + 1))
    for column in range(len(matches.ious)):
        ranks = np.append(0, np.cumsum(matches.counted[column][order]))  # [D + 1]
        right = np.flatnonzero(matches.right[column][order])
        ends = np.searchsorted(right, bounds)
        for k in np.flatnonzero(asked):
            mine = right[ends[k] : ends[k + 1]]
            table[k, column] = _area(ranks[mine + 1] - ranks[bounds[k]], int(asked[k]), rule, matches.semantics.recalls)
    return table


def _area(ranks: np.ndarray, asked: int, rule: Rule, recalls: Sequence[float]) -> float:
    """Average precision of one class from the ranks, from 1, of its right detections among those that count.

    The sums run in the order of the programs' own, so that they agree to the last bit.
    """
    found = np.arange(1, len(ranks) + 1)
    recall, precision = found / asked, found / ranks
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)  # best precision at this recall or more
    if rule == "11 points":
        total = 0.0
        for precision_there in (envelope[np.searchsorted(recall, recalls)] / len(recalls)).tolist():
            total += precision_there  # `sum` would correct its rounding from Python 3.12 on
        return float(total)
    if len(ranks) < asked:
        recall = np.append(recall, 1.0)  # with precision 0
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope[: len(recall)]))


def _means(table: np.ndarray) -> tuple[float, float, float]:
    """AP50, AP75 and AP of [K, T]: the mean over classes at each threshold, then over thresholds."""
    means = np.array([np.mean(column) for column in np.ascontiguousarray(table.T)])
    return float(means[0]), float(means[IOUS.index(0.75)]), float(means.mean())


def _of_size(matches: Matches, rule: Rule) -> SizeScores | None:
    present = matches.asked > 0
    if not present.any():
        return None
    ap50, ap75, ap = _means(100 * average_precision(matches, rule)[present])
    return SizeScores(ap50, ap75, ap, int(matches.asked.sum()))
