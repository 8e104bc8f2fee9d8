"""From a score map to what remains of it: the largest component's box, and the best IoU of any, at every threshold.

corrected: the map's pixels tile its window; those whose centre is beyond the image (padding) are left out. Ground
truth is carried into map pixels, unrounded, where boxes are half-open and are clipped to the image. A pixel belongs to
the mask of threshold t where its scaled value is at least t. The largest component has the most pixels; of equals it is
the one whose first pixel in raster order comes first. A map that says nothing about the place (constant, or without a
positive value) predicts its whole window.

compat repeats clovaai/wsolevaluation (commit 96f4b88), evaluation.py, `compute_bboxes_from_scoremaps` and what uses it:
- the map times 255 is cut down to whole numbers; the mask is `> int(t * maximum)` of these;
- a component of columns 3 to 7 gives x1 = 8, clipped to the last column, which the IoU then takes as inclusive: one
  pixel too many, but at the right and lower end; ground truth is scaled to 224 x 224 and cut down to whole numbers;
- the outline of a hole (around its pixels, one further on each side) is a contour as well, so its box counts
  among all; among the largest it never wins, being inside of another;
- the largest is the contour whose polygon through pixel centres has the greatest area, holes filled; of equals the one
  that OpenCV lists first, which is the one found last in raster order;
- a map without a positive value gives the box 0, 0, 0, 0.
"""

from typing import Any, NamedTuple

import numpy as np

from eval.errors import EvalError
from eval.localization import levels, ring, tree
from eval.localization.runs import Runs
from eval.localization.settings import WSOLEVALUATION_SIDE, Settings
from eval.localization.truth import Truth, Window


class _Steps(NamedTuple):
    """What holds at each of some thresholds, ascending: boxes [T, 4], their IoU [T], the best IoU of any box [T]."""

    thresholds: np.ndarray
    boxes: np.ndarray
    iou: np.ndarray
    best: np.ndarray


class Tracer:
    """Makes the runs of maps, by one set of settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._shape: Any = None
        if settings.geometry == "compat":
            assert settings.levels != "exact"
            self._grid = np.arange(0, 1, 1 / settings.levels)
            self._known: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __call__(self, score_map: np.ndarray, truth: Truth, window: Window | None = None) -> tuple[Runs, Runs]:
        """The runs of the largest component, with boxes in map pixels, and of any component, without.

        Args:
            score_map: [H, W] uint8 or floats; higher is more of the object.
            truth: with at least one box.
            window: what the map covers; None: the whole image.

        Raises:
            EvalError: names the image. NaN or infinity, another shape or type, no box, a box without area; compat: a
                value outside of 0 to 1, or a window.
        """
        values = levels.checked(score_map, truth.id)
        if not len(truth.boxes) or not (truth.boxes[:, 2:] > truth.boxes[:, :2]).all():
            raise EvalError(f"{truth.id}: expected boxes with an area, came {truth.boxes.tolist()}")
        compat = self.settings.geometry == "compat"
        steps = self._compat(values, truth, window) if compat else self._corrected(values, truth, window)
        changes = np.any(steps.boxes[1:] != steps.boxes[:-1], axis=1)
        return _runs(steps.thresholds, steps.iou, steps.boxes, changes), _runs(
            steps.thresholds, steps.best, np.empty((0, 4), np.int32), steps.best[1:] != steps.best[:-1]
        )

    def _space(self, found: np.ndarray) -> Any:
        """Fresh memory for each map costs a quarter of the whole time."""
        if self._shape != (found.shape, found.dtype):
            self._shape, self._arrays = (found.shape, found.dtype), tree.space(found.shape, found.dtype)
        return self._arrays

    def _corrected(self, values: np.ndarray, truth: Truth, window: Window | None) -> _Steps:
        whole = (0.0, 0.0, float(truth.size[0]), float(truth.size[1]))
        image = np.array([whole])
        covered = window or whole
        clip = to_map(image, values.shape, covered)[0]
        known = to_map(_clipped(truth.boxes, image[0]), values.shape, covered)
        if not (known[:, 2:] > known[:, :2]).all():
            raise EvalError(f"{truth.id}: a box outside of the image of {truth.size}: {truth.boxes.tolist()}")
        x0, y0, x1, y1 = (max(int(np.ceil(edge - 0.5)), 0) for edge in clip)  # the pixels whose centre is inside
        values = values[y0:y1, x0:x1]
        if not values.size:
            raise EvalError(f"{truth.id}: the map's window {covered} has no pixel in the image of {truth.size}")
        shift = np.array([x0, y0, x0, y0])
        found = levels.to_levels(values, self.settings.scale, self.settings.levels)
        if isinstance(found, levels.Unlocalized):
            found = np.zeros(values.shape, np.uint16), np.ones(1)
        prepared = tree.prepare(found[0], len(found[1]), self._space(found[0]))
        boxes, iou, best = tree.sweep(
            prepared, values.shape, ring.components().tables, known - shift, clip - shift, tree.LARGEST_AREA, 0, 0
        )
        return _Steps(found[1], boxes + shift.astype(np.int32), iou, best)

    def _compat(self, values: np.ndarray, truth: Truth, window: Window | None) -> _Steps:
        if window is not None and tuple(window) != (0, 0, *truth.size):
            raise EvalError(f"{truth.id}: compat knows maps of the whole image {truth.size} only, this covers {window}")
        eight = _eight_bit(values, truth.id)
        ranks, at = self._ranks(int(eight.max()))
        known = _compat_truth(truth)
        if not len(at):
            box = np.array([[0, 0, 1, 1]], np.int32)
            alone = np.full(len(self._grid), _plain_iou(box[0], known))
            return _Steps(self._grid, box.repeat(len(alone), axis=0), alone, alone)
        clip = np.array([0, 0, *values.shape[::-1]], np.float64)
        found, count = levels.looked_up(eight, ranks), int(at[-1]) + 1
        prepared = tree.prepare(found, count, self._space(found))
        boxes, iou, best = tree.sweep(
            prepared, values.shape, ring.contours().tables, known, clip, tree.LARGEST_CONTOUR, 0, 1
        )
        outlines = tree.sweep(
            tree.inverted(*prepared), values.shape, ring.holes().tables, known, clip, tree.NO_LARGEST, 1, 1
        )[2]
        best[1:] = np.maximum(best[1:], outlines[:0:-1])  # what is below level l: levels L - l on of the inverted map
        boxes[:, 2:] = np.minimum(boxes[:, 2:] + 1, values.shape[::-1])
        return _Steps(self._grid, boxes[at], iou[at], best[at])

    def _ranks(self, peak: int) -> tuple[np.ndarray, np.ndarray]:
        """For 8-bit maps with this maximum: a value's level [256], and the level of each threshold [T]; 0: no level.

        Values that no threshold tells apart have one level: at intervals of .01 two fifths of the levels are left.
        """
        if peak not in self._known:
            lowest, at = np.unique(np.floor(self._grid * peak).astype(np.int64) + 1, return_inverse=True)
            ranks = np.searchsorted(lowest, np.arange(256), side="right").astype(np.uint16)
            self._known[peak] = ranks, (at + 1 if peak else at[:0])
        return self._known[peak]


def to_map(boxes: np.ndarray, shape: tuple[int, ...], window: Window) -> np.ndarray:
    """Boxes [N, 4] from image pixels to pixels of a map [H, W] that covers the window; not rounded."""
    origin, scale = _affine(shape, window)
    return np.asarray((boxes - origin) / scale)


def to_image(boxes: np.ndarray, shape: tuple[int, ...], window: Window, size: tuple[int, int]) -> np.ndarray:
    """Boxes [N, 4] from map pixels to image pixels, float64, clipped to an image of `size` (width, height)."""
    origin, scale = _affine(shape, window)
    return _clipped(boxes * scale + origin, np.array([0.0, 0.0, *size]))


def _affine(shape: tuple[int, ...], window: Window) -> tuple[np.ndarray, np.ndarray]:
    x0, y0, x1, y1 = window
    across, down = (x1 - x0) / shape[1], (y1 - y0) / shape[0]
    return np.array([x0, y0, x0, y0]), np.array([across, down, across, down])


def _clipped(boxes: np.ndarray, to: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(boxes, np.tile(to[:2], 2), np.tile(to[2:], 2)))


def _eight_bit(values: np.ndarray, name: str) -> np.ndarray:
    """As wsolevaluation has it; an 8-bit map is one that was divided by 255, which multiplying undoes to the bit."""
    if values.dtype == np.uint8:
        return values
    if values.min() < 0 or values.max() > 1:
        raise EvalError(f"{name}: compat expects values from 0 to 1, came {values.min():g} to {values.max():g}")
    return (values.astype(np.float64) * 255).astype(np.uint8)


def _compat_truth(truth: Truth) -> np.ndarray:
    """Inclusive corners scaled to 224 x 224 and cut down, then half-open."""
    width, height = truth.size
    inclusive = truth.boxes - np.array([0, 0, 1, 1])
    scaled = inclusive * float(WSOLEVALUATION_SIDE) / np.array([width, height, width, height], np.float64)
    return np.asarray(np.trunc(scaled) + np.array([0, 0, 1, 1]))


def _plain_iou(box: np.ndarray, truth: np.ndarray) -> float:
    sides = np.minimum(box[2:], truth[:, 2:]) - np.maximum(box[:2], truth[:, :2])
    both = np.maximum(sides, 0).prod(axis=1)
    areas = (truth[:, 2:] - truth[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    return float((both / (areas - both)).max())


def _runs(ends: np.ndarray, iou: np.ndarray, boxes: np.ndarray, changes: np.ndarray) -> Runs:
    last = np.empty(np.count_nonzero(changes) + 1, np.int64)
    last[:-1], last[-1] = changes.nonzero()[0], len(ends) - 1
    kept = boxes[last] if len(boxes) else boxes
    found = ends[last]
    found[-1] = max(found[-1], 1.0)
    return Runs(np.array([0, len(last)]), found, iou[last], kept)
