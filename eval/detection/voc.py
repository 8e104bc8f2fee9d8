"""Pascal VOC average precision, vectorised over detections, with the semantics of detectron2's Pascal evaluator.

Boxes come in as half-open pixels with origin 0: x0, y0, x1, y1 with x1 - x0 the width. VOC's own are 1-based with both
ends inside, (x0 + 1, y0 + 1, x1, y1), and measured as x1 - x0 + 1: the same widths and the same intersections, so the
IoU is one and the same number. It is computed in VOC's form, so that it is the same to the last bit.

A detection looks only at the ground truth of its class and image that it overlaps most (the first of equals), and is
right where the IoU is *greater* than the threshold and no detection of higher score took that object: a second one is
wrong. One whose best object is `difficult` counts neither way, and difficult objects are not asked for. Of equal scores
the smaller image id goes first, then the order given within the image: no result depends on the order of the images.

Letters: D detections, G ground-truth objects, P (detection, object) pairs, K classes, T thresholds of IoU.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eval.detection.detections import Detections
from eval.detection.matching import best_object
from eval.detection.truth import Scene, Truth
from eval.errors import EvalError

IOUS = tuple(percent / 100 for percent in range(50, 100, 5))
"""COCO's ten thresholds, .50 to .95."""

Rule = Literal["11 points", "area"]
"""VOC 2007: mean precision at recalls 0, .1, ..., 1. VOC 2010 and later: area below the envelope of the curve."""


@dataclass(frozen=True)
class VocScores:
    """Means over the classes that have ground truth, in percent."""

    ap50: float
    ap75: float
    ap: float
    """Mean over the ten thresholds."""
    ap50_per_class: dict[str, float]
    without_ground_truth: tuple[str, ...]
    """Classes left out of the means: no object that is not difficult."""


def voc_ap(
    detections: Detections, scenes: Iterable[Scene], classes: Sequence[str], rule: Rule = "11 points"
) -> VocScores:
    """AP50, AP75 and AP of detections, over the classes with ground truth.

    No detections at all give zeros and a warning. Raises EvalError as `average_precision`, and where no class has an
    object to find.
    """
    table = 100 * average_precision(detections, scenes, len(classes), IOUS, rule)  # [K, T]
    present = ~np.isnan(table[:, 0])
    if not present.any():
        raise EvalError(f"ground truth: none of {len(classes)} classes has an object that is not difficult")
    if not len(detections.scores):
        warnings.warn("no detections at all: every average precision is 0")
    means = table[present].mean(axis=0)
    return VocScores(
        ap50=float(means[0]),
        ap75=float(means[IOUS.index(0.75)]),
        ap=float(means.mean()),
        ap50_per_class={name: float(table[k, 0]) for k, name in enumerate(classes) if present[k]},
        without_ground_truth=tuple(name for k, name in enumerate(classes) if not present[k]),
    )


def average_precision(
    detections: Detections, scenes: Iterable[Scene], classes: int, ious: Sequence[float], rule: Rule = "11 points"
) -> np.ndarray:
    """Average precision of every class at every threshold: [K, T] fractions, NaN for a class without ground truth.

    Raises EvalError for a detection in an image that `scenes` has not, a label outside 0..K-1, two scenes of one id,
    or ground truth of no area.
    """
    truth = Truth.of(scenes, classes)
    labels = detections.labels
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise EvalError(f"detections: labels from {labels.min()} to {labels.max()}, expected 0 to {classes - 1}")
    images = truth.positions(detections.image_ids)
    order = np.lexsort((images, -detections.scores))  # stable: by score, then image id, then as given
    images, labels, boxes = images[order], labels[order], detections.boxes[order]

    best, iou = best_object(boxes, labels * truth.images + images, truth)
    asked = np.bincount(truth.labels[~truth.difficult], minlength=classes)
    table = np.full((classes, len(ious)), np.nan)
    for column, threshold in enumerate(ious):
        hit = iou > threshold
        neither = hit & truth.difficult[best] if len(truth.labels) else np.zeros(len(hit), bool)
        right = np.zeros(len(hit), bool)
        hits = np.flatnonzero(hit & ~neither)
        right[hits[np.unique(best[hits], return_index=True)[1]]] = True  # the first, that is of highest score
        for k in np.flatnonzero(asked):
            table[k, column] = _area(right[(labels == k) & ~neither], int(asked[k]), rule)
    return table


def _area(right: np.ndarray, asked: int, rule: Rule) -> float:
    """Average precision of one class: `right` says of its detections, best first, which found an object."""
    found = np.cumsum(right)
    recall = found / asked
    precision = found / np.arange(1, len(right) + 1)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)  # best precision at this recall or more
    if rule == "11 points":
        # arange's .30000000000000004 is meant: every published VOC 2007 number was made with it.
        return float(np.sum(envelope[np.searchsorted(recall, np.arange(0.0, 1.1, 0.1))]) / 11)
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope[:-1]))
