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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

from eval.errors import EvalError

IOUS = tuple(percent / 100 for percent in range(50, 100, 5))
"""COCO's ten thresholds, .50 to .95."""

Rule = Literal["11 points", "area"]
"""VOC 2007: mean precision at recalls 0, .1, ..., 1. VOC 2010 and later: area below the envelope of the curve."""


class Scene(Protocol):
    """One image's ground truth; a record of a detection data set is one."""

    @property
    def id(self) -> str:
        """Names the image."""

    @property
    def boxes(self) -> Sequence[tuple[float, float, float, float]]:
        """Half-open x0, y0, x1, y1 in pixels, origin 0."""

    @property
    def labels(self) -> Sequence[int]:
        """Class of every box, from 0."""

    @property
    def difficult(self) -> Sequence[bool]:
        """Whether VOC marks the object as difficult."""


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes found in any number of images, in any order."""

    image_ids: Sequence[str]
    labels: np.ndarray
    """[D] classes, from 0."""
    scores: np.ndarray
    """[D], any finite numbers."""
    boxes: np.ndarray
    """[D, 4] half-open x0, y0, x1, y1 in pixels, origin 0."""

    def __post_init__(self) -> None:
        count = len(self.image_ids)
        for name, kind, shape in (
            ("labels", np.int64, (count,)),
            ("scores", np.float64, (count,)),
            ("boxes", np.float64, (count, 4)),
        ):
            array = _array(name, getattr(self, name), kind, shape)
            object.__setattr__(self, name, array)
        finite = np.isfinite(self.scores) & np.isfinite(self.boxes).all(axis=1)
        proper = (self.boxes[:, 2:] >= self.boxes[:, :2]).all(axis=1)
        for good, fault in (
            (finite, "a score or box that is not finite"),
            (proper, "a box whose end precedes its start"),
        ):
            if not good.all():
                at = int(np.argmin(good))
                raise EvalError(f"image {self.image_ids[at]!r}: {fault}: {self.scores[at]}, {self.boxes[at].tolist()}")

    @classmethod
    def from_coco(cls, results: Iterable[Mapping[str, Any]]) -> "Detections":
        """From COCO's list of results, boxes x, y, width, height; `category_id` is the class from 0."""
        found = list(results)
        try:
            boxes = np.array([result["bbox"] for result in found], dtype=np.float64).reshape(len(found), 4)
            boxes[:, 2:] += boxes[:, :2]
            labels = np.array([result["category_id"] for result in found])
            scores = np.array([result["score"] for result in found])
            image_ids = [str(result["image_id"]) for result in found]
        except (KeyError, TypeError, ValueError) as error:
            raise EvalError(
                f"detections: expected image_id, category_id, bbox, score in every entry: {error}"
            ) from None
        return cls(image_ids, labels, scores, boxes)

    def rounded(self) -> "Detections":
        """Scores to .001 and 1-based boxes to .1 pixel, as detectron2's evaluator writes them before it reads them."""
        scores = np.array([float(f"{score:.3f}") for score in self.scores.tolist()])
        one_based = (self.boxes + _ONE_BASED).ravel().tolist()
        boxes = np.array([float(f"{value:.1f}") for value in one_based]).reshape(-1, 4) - _ONE_BASED
        return Detections(self.image_ids, self.labels, scores, boxes)


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
    truth = _Truth.of(scenes, classes)
    labels = detections.labels
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise EvalError(f"detections: labels from {labels.min()} to {labels.max()}, expected 0 to {classes - 1}")
    images = truth.positions(detections.image_ids)
    order = np.lexsort((images, -detections.scores))  # stable: by score, then image id, then as given
    images, labels, boxes = images[order], labels[order], detections.boxes[order]

    best, iou = _best_object(boxes, labels * truth.images + images, truth)
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


@dataclass(frozen=True, eq=False)
class _Truth:
    """All objects in arrays, sorted by group = label * number of images + position of the image among sorted ids."""

    ids: dict[str, int]
    labels: np.ndarray  # [G]
    boxes: np.ndarray  # [G, 4]
    difficult: np.ndarray  # [G]
    groups: np.ndarray  # [G]

    @property
    def images(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, scenes: Iterable[Scene], classes: int) -> "_Truth":
        found = sorted(scenes, key=lambda scene: scene.id)
        ids = {scene.id: position for position, scene in enumerate(found)}
        if len(ids) < len(found):
            twice = next(one.id for one, two in pairwise(found) if one.id == two.id)
            raise EvalError(f"ground truth: image {twice!r} is there twice")
        for scene in found:
            if not len(scene.boxes) == len(scene.labels) == len(scene.difficult):
                raise EvalError(
                    f"ground truth of image {scene.id!r}: as many labels and difficult flags as boxes expected"
                )
            if not all(0 <= label < classes for label in scene.labels):
                raise EvalError(
                    f"ground truth of image {scene.id!r}: labels {scene.labels}, expected 0 to {classes - 1}"
                )
            if not all(x1 > x0 and y1 > y0 for x0, y0, x1, y1 in scene.boxes):
                raise EvalError(f"ground truth of image {scene.id!r}: a box without area in {scene.boxes}")
        images = np.repeat(np.arange(len(found)), [len(scene.boxes) for scene in found])
        labels = np.array([label for scene in found for label in scene.labels], np.int64)
        boxes = np.array([box for scene in found for box in scene.boxes], np.float64).reshape(-1, 4)
        difficult = np.array([flag for scene in found for flag in scene.difficult], bool)
        groups = labels * len(found) + images
        order = np.argsort(groups, kind="stable")
        return cls(ids, labels[order], boxes[order], difficult[order], groups[order])

    def positions(self, image_ids: Sequence[str]) -> np.ndarray:
        """Position of every id: [D]."""
        if unknown := sorted(set(image_ids) - self.ids.keys()):
            shown = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
            raise EvalError(
                f"detections in {len(unknown)} images without ground truth: {shown}; there are {self.images}"
            )
        return np.array([self.ids[image] for image in image_ids], np.int64)


_ONE_BASED = np.array([1.0, 1.0, 0.0, 0.0])  # half-open, origin 0 -> both ends inside, origin 1


def _best_object(boxes: np.ndarray, groups: np.ndarray, truth: _Truth) -> tuple[np.ndarray, np.ndarray]:
    """Of every detection, the object of its group that it overlaps most and their IoU: [D], [D]; 0 and -1 for none."""
    start = np.searchsorted(truth.groups, groups)
    count = np.searchsorted(truth.groups, groups, side="right") - start
    best, iou = np.zeros(len(boxes), np.int64), np.full(len(boxes), -1.0)
    some = np.flatnonzero(count)
    if not some.size:
        return best, iou
    first = np.cumsum(count[some]) - count[some]  # where every detection's pairs begin
    pairs = int(count.sum())
    within = np.arange(pairs) - np.repeat(first, count[some])
    objects = np.repeat(start[some], count[some]) + within  # [P]
    overlaps = _iou(np.repeat(boxes[some], count[some], axis=0), truth.boxes[objects])  # [P]
    iou[some] = np.maximum.reduceat(overlaps, first)
    is_best = overlaps == np.repeat(iou[some], count[some])
    best[some] = start[some] + np.minimum.reduceat(np.where(is_best, within, pairs), first)
    return best, iou


def _iou(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """IoU of boxes pair by pair, [P, 4] x [P, 4] -> [P], in VOC's form: both ends inside."""
    one, two = one + _ONE_BASED, two + _ONE_BASED
    low, high = np.maximum(one[:, :2], two[:, :2]), np.minimum(one[:, 2:], two[:, 2:])
    inside = np.maximum(high - low + 1, 0).prod(axis=1)
    areas = [(box[:, 2:] - box[:, :2] + 1).prod(axis=1) for box in (one, two)]
    return np.asarray(inside / (areas[0] + areas[1] - inside))


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


def _array(name: str, values: ArrayLike, kind: type, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(values) if len(np.atleast_1d(values)) else np.zeros(shape, kind)
    whole = kind is not np.int64 or np.issubdtype(array.dtype, np.integer)
    if array.shape != shape or not whole or not np.issubdtype(array.dtype, np.number):
        raise EvalError(
            f"detections: {name} are {array.dtype} of shape {array.shape}, expected {kind.__name__} {shape}"
        )
    return array.astype(kind)
