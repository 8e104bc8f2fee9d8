"""PxAP and IoU of masks from pooled pixels (Choe et al. 2020, section 4: pixel precision and recall, PxAP).

All pixels of all images are one set. In corrected every image weighs the same whatever its size, as it does in compat,
where all are 224 x 224. Average precision is the sum over thresholds, from the highest, of precision times the gain in
recall; peak IoU is the highest IoU of the pooled mask over thresholds 0 to 1.

Letters: N images, K thresholds ascending (masks.py), R resamples.
"""

from collections.abc import Iterable

import numpy as np

from eval.errors import EvalError
from eval.localization.part import Part
from eval.localization.settings import WSOLEVALUATION_SIDE as SIDE

_NAMES = ("inside", "outside", "centre_inside", "centre_outside")


class Pool:
    """Pixels of object and background by the map's value, summed over images."""

    def __init__(self) -> None:
        self.sums: dict[str, np.ndarray] = {}
        """`inside`, `outside` [K], `centre_inside`, `centre_outside` [C], float64, in pixels of a 224 x 224 image."""

    def add(self, part: Part) -> None:
        """Add the images of a part."""
        for name, table in _weighted(part).items():
            self.sums[name] = self.sums.get(name, 0.0) + table.sum(axis=0)

    def check(self) -> None:
        """EvalError where no image has a pixel of an object."""
        if not self.sums["inside"].sum():
            raise EvalError("no pixel of an object in any mask")


def resampled(parts: Iterable[Part], weights: np.ndarray) -> dict[str, np.ndarray]:
    """As `Pool.sums`, for every resample of the images (weights [N, R]): [R, K] and [R, C]. Reads the parts again."""
    sums: dict[str, np.ndarray] = {}
    start = 0
    for part in parts:
        if not part.ids:
            continue
        mine = weights[start : start + len(part.ids)].T.astype(np.float64)  # [R, images of the part]
        for name, table in _weighted(part).items():
            sums[name] = sums.get(name, 0.0) + mine @ table
        start += len(part.ids)
    return sums


def _weighted(part: Part) -> dict[str, np.ndarray]:
    """[N, K] and [N, C]: each image's pixels as if it had 224 x 224."""
    weight = (SIDE * SIDE / part.pixels)[:, None]  # exactly 1 in compat
    return {name: getattr(part, name) * weight for name in _NAMES}


def curve(inside: np.ndarray, outside: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and IoU at each threshold: [..., K] each, in the order of the thresholds; 0 / 0 is 0."""
    hit, wrong = (np.cumsum(table[..., ::-1], axis=-1)[..., ::-1] for table in (inside, outside))
    total = hit[..., :1]
    with np.errstate(invalid="ignore", divide="ignore"):
        found = hit / (hit + wrong), hit / total, hit / (total + wrong)
    precision, recall, iou = (np.nan_to_num(values) for values in found)
    return precision, recall, iou


def average_precision(inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """In percent: [...], over the last axis.

    To the last bit what wsolevaluation's `MaskEvaluator.compute` gives for its bins, of which the highest is always
    empty.
    """
    precision, recall, _ = (values[..., ::-1] for values in curve(inside, outside))
    steps = precision * np.diff(recall, prepend=0.0)
    if steps.ndim == 1:  # without the empty ones the sum is rounded as wsolevaluation's is
        steps = steps[np.cumsum((inside + outside)[::-1]) > 0]
    return np.asarray(steps.sum(axis=-1) * 100)
