"""How well score maps localise: the CutMix paper's top-1 Loc and GT-known Loc, and MaxBoxAccV2.

Maps and ground-truth boxes are in one geometry, that of the maps: boxes are half-open x0, y0, x1, y1 in map pixels,
origin 0, and so are predicted ones: a component of columns 3 to 7 spans 3 to 8. Components are 8-connected. Of several
ground-truth boxes in an image the best one counts. A map that has no opinion about the place (constant, or for the
paper's rule without a positive value) predicts the whole map.

Top-1 Loc and GT-known Loc (Yun et al. 2019, section 4.2; Zhou et al. 2016): the tightest box of the *largest* component
of `map >= .15 * max(map)`, right where IoU > .5; top-1 also asks for the right class.

MaxBoxAccV2 (Choe et al., CVPR 2020, section 4): the share of images in which any component of `map > threshold`, the
map scaled to 0..1 by its minimum and maximum, meets any box with IoU >= .3, .5, .7; each at its own best threshold of
the hundred 0, .01, ..., .99, one for all images; then the mean of the three.

wsolevaluation differs in three ways, which its compatibility mode will have to repeat: predicted boxes that do not
touch the map's right or lower end are one pixel too wide or high (x + w, taken as inclusive), the outline of a hole
counts as a component, and maps are first resized to 224 x 224 and rounded to 8 bits. On 8-bit maps of full range its
masks and the ones here are the same: with the first added, every count in its published output is met (tested).

Letters: N images, H x W map pixels, C components, G ground-truth boxes of an image, T thresholds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from eval.errors import EvalError

THRESHOLDS = np.arange(100) / 100
IOUS = (0.3, 0.5, 0.7)


@dataclass(frozen=True, eq=False)
class Localization:
    """The paper's numbers in percent, and what they come from."""

    top1_loc: float
    gt_known_loc: float
    boxes: np.ndarray
    """[N, 4] predicted, half-open, map pixels."""
    ious: np.ndarray
    """[N] with the best ground-truth box."""


@dataclass(frozen=True)
class MaxBoxAcc:
    """MaxBoxAccV2 in percent."""

    mean: float
    per_iou: dict[float, float]
    thresholds: dict[float, float]
    """The best threshold for every IoU, the lowest of equals."""


def localize(
    maps: np.ndarray,
    boxes: Sequence[ArrayLike],
    right_class: ArrayLike,
    ids: Sequence[str],
    *,
    threshold: float = 0.15,
    iou: float = 0.5,
) -> Localization:
    """Top-1 Loc and GT-known Loc of score maps [N, H, W].

    Args:
        maps: higher is more of the object.
        boxes: N arrays [G, 4] of ground truth.
        right_class: [N] whether the classifier's first guess is right.
        ids: N names of images, for messages.
        threshold: fraction of a map's maximum.
        iou: has to be exceeded.

    Raises:
        EvalError: shapes that do not fit, no images, a map with NaN or infinity, an image without boxes, a box without
            area.
    """
    truth = _check(maps, boxes, ids)
    right = np.asarray(right_class)
    if right.shape != (len(maps),) or right.dtype != bool:
        raise EvalError(f"right_class: {right.dtype} of shape {right.shape}, expected {len(maps)} booleans")
    predicted = np.stack([largest_box(score_map, threshold) for score_map in maps])
    ious = np.array([box_iou(box[None], known).max() for box, known in zip(predicted, truth, strict=True)])
    found = ious > iou
    return Localization(100 * float((found & right).mean()), 100 * float(found.mean()), predicted, ious)


def max_box_acc_v2(
    maps: np.ndarray, boxes: Sequence[ArrayLike], ids: Sequence[str], *, ious: Sequence[float] = IOUS
) -> MaxBoxAcc:
    """MaxBoxAccV2 of score maps [N, H, W]. Arguments and errors as for `localize`."""
    truth = _check(maps, boxes, ids)
    best = np.stack([best_ious(score_map, known) for score_map, known in zip(maps, truth, strict=True)])  # [N, T]
    return best_thresholds(best, ious)


def best_thresholds(best: np.ndarray, ious: Sequence[float] = IOUS) -> MaxBoxAcc:
    """MaxBoxAccV2 from `best_ious` of every image, [N, T]: what remains of maps that were seen one by one."""
    per_iou, thresholds = {}, {}
    for iou in ious:
        accuracy = 100 * (best >= iou).mean(axis=0)  # [T]
        at = int(np.argmax(accuracy))
        per_iou[iou], thresholds[iou] = float(accuracy[at]), float(THRESHOLDS[at])
    return MaxBoxAcc(sum(per_iou.values()) / len(per_iou), per_iou, thresholds)


def largest_box(score_map: np.ndarray, threshold: float) -> np.ndarray:
    """Tightest box of the largest component of `map >= threshold * max`: [4] float64; of equals the topmost one."""
    peak = score_map.max()
    if peak <= 0:
        return np.array([0, 0, *score_map.shape[::-1]], np.float64)
    boxes, areas = components(score_map >= threshold * peak)
    first: np.ndarray = boxes[np.lexsort((boxes[:, 0], boxes[:, 1], -areas))[0]]
    return first


def best_ious(score_map: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Best IoU of any component with any ground-truth box at each of THRESHOLDS: [T]."""
    low, high = float(score_map.min()), float(score_map.max())
    if low == high:
        return np.full(len(THRESHOLDS), box_iou(np.array([[0, 0, *score_map.shape[::-1]]]), boxes).max())
    scaled = (score_map.astype(np.float64) - low) / (high - low)
    levels = np.searchsorted(THRESHOLDS, scaled).astype(np.uint8)  # [H, W] how many thresholds a pixel exceeds, 0..T
    best, above = np.zeros(len(THRESHOLDS)), 0
    for level in np.unique(levels[levels > 0]):  # thresholds between two levels that occur have one and the same mask
        best[above:level] = box_iou(components(levels >= level)[0], boxes).max()
        above = level
    return best


def components(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tightest boxes [C, 4] and areas in pixels [C] of the 8-connected components of a boolean mask [H, W]."""
    import cv2

    stats = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)[2][1:].astype(np.float64)
    boxes = stats[:, :4].copy()  # x, y, w, h
    boxes[:, 2:] += boxes[:, :2]
    return boxes, stats[:, 4]


def box_iou(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """IoU of every pair of half-open boxes, [C, 4] x [G, 4] -> [C, G]."""
    low = np.maximum(one[:, None, :2], two[None, :, :2])
    high = np.minimum(one[:, None, 2:], two[None, :, 2:])
    inside = np.maximum(high - low, 0).prod(axis=2)
    area_one, area_two = ((box[:, 2:] - box[:, :2]).prod(axis=1) for box in (one, two))
    return np.asarray(inside / (area_one[:, None] + area_two[None] - inside))


def _check(maps: np.ndarray, boxes: Sequence[ArrayLike], ids: Sequence[str]) -> list[np.ndarray]:
    if maps.ndim != 3 or not maps.size or not len(maps) == len(boxes) == len(ids):
        raise EvalError(f"{len(ids)} ids, {len(boxes)} lists of boxes, maps of shape {maps.shape}, expected N of each")
    bad = [name for name, score_map in zip(ids, maps, strict=True) if not np.isfinite(score_map).all()]
    if bad:
        raise EvalError(f"{len(bad)} of {len(ids)} score maps hold NaN or infinity: {', '.join(map(str, bad[:10]))}")
    truth = [np.asarray(box, np.float64) for box in boxes]
    for name, known in zip(ids, truth, strict=True):
        if known.ndim != 2 or known.shape[1] != 4 or not len(known):
            raise EvalError(f"image {name!r}: boxes of shape {known.shape}, expected at least one x0, y0, x1, y1")
        if not (known[:, 2:] > known[:, :2]).all():
            raise EvalError(f"image {name!r}: a box without area in {known.tolist()}")
    return truth
