"""Which detections are right: every detection against the object of its class and image that it overlaps most.

A detection looks at that one object alone (the first of equals). It is right where their IoU passes the threshold and
no detection before it took the object; a second one is wrong. One whose object is difficult counts neither way.

Letters: D detections, G objects, K classes, T thresholds of IoU.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval.detection.detections import ONE_BASED, Detections
from eval.detection.semantics import Semantics
from eval.detection.truth import Truth
from eval.errors import EvalError


@dataclass(frozen=True, eq=False)
class Matches:
    """Every detection's fate, in the order of `Detections.ranking`: best score first."""

    semantics: Semantics
    truth: Truth
    """The objects that were looked at."""
    ious: tuple[float, ...]
    """[T] thresholds, fractions."""
    index: np.ndarray
    """[D] position among the caller's detections."""
    labels: np.ndarray
    """[D] classes, from 0."""
    images: np.ndarray
    """[D] position of the image in `truth`."""
    scores: np.ndarray
    """[D] as compared, so rounded where the semantics round."""
    boxes: np.ndarray
    """[D, 4] as given: half-open x0, y0, x1, y1 in pixels, origin 0."""
    best: np.ndarray
    """[D] the object of the same class and image that it overlaps most; -1 where there is none."""
    iou: np.ndarray
    """[D] their IoU by the semantics; -1 where there is none."""
    right: np.ndarray
    """[T, D] bool: found an object that is asked for."""
    counted: np.ndarray
    """[T, D] bool: right or wrong; False: neither, as if it were not there."""
    wanted: np.ndarray
    """[G] bool: objects that are asked for."""

    @property
    def asked(self) -> np.ndarray:
        """How many objects of every class are asked for: [K]."""
        return np.bincount(self.truth.labels[self.wanted], minlength=self.truth.classes)

    @property
    def asked_by_image(self) -> tuple[np.ndarray, np.ndarray]:
        """Class and position of the image of every object that is asked for: [A], [A]."""
        return self.truth.labels[self.wanted], self.truth.positions_of_objects[self.wanted]

    @property
    def objects(self) -> np.ndarray:
        """[T, D] the object that a detection overlaps most, where their IoU passes; -1 otherwise. Right or not."""
        return np.stack([np.where(self.passes(iou), self.best, -1) for iou in self.ious])

    def passes(self, threshold: float) -> np.ndarray:
        """Where the IoU with the best object is enough: [D] bool."""
        return self.semantics.passes(self.iou, threshold)

    def of_size(self, low: float, high: float) -> "Matches":
        """The same, asking only for objects of an area from `low` to below `high` square pixels.

        As COCO does it: a detection of an object outside the range is neither; a wrong detection is neither where its
        own area is outside. Detections that never count are left out.
        """
        areas = (self.boxes[:, 2:] - self.boxes[:, :2]).prod(axis=1)
        own = (areas >= low) & (areas < high)  # [D]
        inside = (self.truth.areas >= low) & (self.truth.areas < high)  # [G]
        found = np.zeros(len(own), bool)  # its object is of the size
        some = np.flatnonzero(self.best >= 0)
        found[some] = inside[self.best[some]]
        kept = np.flatnonzero(own | (found & self.passes(min(self.ious, default=0.0))))  # the rest never counts
        own, found, iou = own[kept], found[kept], self.iou[kept]
        right, counted = self.right[:, kept] & found, self.counted[:, kept]
        for row, threshold in enumerate(self.ious):
            counted[row] &= (own & (found | ~self.semantics.passes(iou, threshold))) | right[row]
        return replace(
            self,
            index=self.index[kept],
            labels=self.labels[kept],
            images=self.images[kept],
            scores=self.scores[kept],
            boxes=self.boxes[kept],
            best=self.best[kept],
            iou=iou,
            right=right,
            counted=counted,
            wanted=self.wanted & inside,
        )


def match(detections: Detections, truth: Truth, ious: Sequence[float], semantics: Semantics) -> Matches:
    """Match every detection at every threshold.

    Raises EvalError for a detection in an image that `truth` has not, or a label outside 0..K-1.
    """
    labels = detections.labels
    if len(labels) and not 0 <= labels.min() <= labels.max() < truth.classes:
        raise EvalError(f"detections: labels from {labels.min()} to {labels.max()}, expected 0 to {truth.classes - 1}")
    images = truth.positions(detections.image_ids)
    if semantics.difficult == "absent":
        truth = truth.only(~truth.difficult)
    hard = truth.difficult if semantics.difficult == "neither" else np.zeros(len(truth.labels), bool)
    scores = rounded(detections.scores, 3) if semantics.rounded else detections.scores
    order = detections.ranking(images, scores)
    labels, images, boxes = labels[order], images[order], detections.boxes[order]

    best, iou = _best_objects(boxes, labels * truth.images + images, truth, semantics)
    shape = (len(ious), len(order))
    found = Matches(
        semantics=semantics,
        truth=truth,
        ious=tuple(ious),
        index=order,
        labels=labels,
        images=images,
        scores=scores[order],
        boxes=boxes,
        best=best,
        iou=iou,
        right=np.zeros(shape, bool),
        counted=np.ones(shape, bool),
        wanted=~hard,
    )
    near = np.flatnonzero(found.passes(min(found.ious, default=0.0)))
    for row, threshold in enumerate(found.ious):
        some = near[semantics.passes(iou[near], threshold)]
        neither = hard[best[some]]
        found.counted[row, some[neither]] = False
        asked = some[~neither]
        first = np.unique(best[asked], return_index=True)[1]  # of every object, the detection of highest score
        found.right[row, asked[first]] = True
    return found


def rounded(values: np.ndarray, digits: int) -> np.ndarray:
    """What a number is after it was written with so many decimals and read again, to the last bit."""
    scale = 10.0**digits
    scaled = values * scale
    result = np.rint(scaled) / scale
    close = np.abs(scaled - np.floor(scaled) - 0.5) < 1e-6  # the product's own rounding could decide
    result[close] = [float(f"{value:.{digits}f}") for value in values[close].tolist()]
    return np.asarray(result)


def _best_objects(
    boxes: np.ndarray, groups: np.ndarray, truth: Truth, semantics: Semantics
) -> tuple[np.ndarray, np.ndarray]:
    """Of every detection the object of its group that it overlaps most, and their IoU: [D], [D]; -1 and -1 for none."""
    begin, end = truth.starts[groups], truth.starts[groups + 1]
    best, iou = np.full(len(boxes), -1, np.int32), np.full(len(boxes), -1.0)
    some = np.flatnonzero(end > begin)
    corners = boxes[some] + ONE_BASED
    found = np.ascontiguousarray((rounded(corners.ravel(), 1).reshape(-1, 4) if semantics.rounded else corners).T)
    objects = np.ascontiguousarray((truth.boxes + ONE_BASED + semantics.shift).T)
    one = 1.0 if semantics.plus_one else 0.0
    at, last = begin[some], end[some]
    while some.size:  # all first objects, then all second ones, ...: few groups have many
        overlap = iou_of_pairs(found, objects[:, at], one)
        better = overlap > iou[some]
        iou[some[better]], best[some[better]] = overlap[better], at[better]
        more = np.flatnonzero(at + 1 < last)
        some, found, at, last = some[more], found[:, more], at[more] + 1, last[more]
    return best, iou


def iou_of_pairs(one: np.ndarray, two: np.ndarray, plus: float = 0.0) -> np.ndarray:
    """IoU of boxes pair by pair, [4, P] x [4, P] -> [P]; both without area: 0. plus: added to widths and heights."""
    width = np.minimum(one[2], two[2]) - np.maximum(one[0], two[0]) + plus
    height = np.minimum(one[3], two[3]) - np.maximum(one[1], two[1]) + plus
    inside = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    areas = [(box[2] - box[0] + plus) * (box[3] - box[1] + plus) for box in (one, two)]
    union = areas[0] + areas[1] - inside
    return np.asarray(np.divide(inside, union, out=np.zeros_like(inside), where=union != 0))
