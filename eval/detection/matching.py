"""Which object each detection overlaps most."""

import numpy as np

from eval.detection.detections import ONE_BASED
from eval.detection.truth import Truth


def best_object(boxes: np.ndarray, groups: np.ndarray, truth: Truth) -> tuple[np.ndarray, np.ndarray]:
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
    one, two = one + ONE_BASED, two + ONE_BASED
    low, high = np.maximum(one[:, :2], two[:, :2]), np.minimum(one[:, 2:], two[:, 2:])
    inside = np.maximum(high - low + 1, 0).prod(axis=1)
    areas = [(box[:, 2:] - box[:, :2] + 1).prod(axis=1) for box in (one, two)]
    return np.asarray(inside / (areas[0] + areas[1] - inside))
