"""What an evaluation without any score map would say: the whole image, a box in the middle, a Gaussian in the middle.

Boxes are compared in pixels of the original image, half-open, whatever the geometry of the evaluation; ground truth is
clipped to the image.

The centre Gaussian's PxAP is the pixel baseline of Choe et al. 2020. Its width and height go with the image's; average
precision sees only the order of the scores, which is that of the distance from the middle, so any width is the same.

Letters: S sides, G boxes, H x W pixels of a mask.
"""

from functools import lru_cache

import numpy as np

from eval.localization.truth import Truth

SIDES = 100
"""S: the box in the middle has sides of 1 / S, 2 / S, ..., 1 of the image's."""
RINGS = 200
"""How many distances from the middle are told apart."""


def box_ious(truth: Truth) -> tuple[float, np.ndarray]:
    """IoU of the whole image, and of the box in the middle for every side [S], each with the best ground-truth box."""
    width, height = truth.size
    sides = np.arange(1, SIDES + 1) / SIDES  # [S]
    centre = np.stack([1 - sides, 1 - sides, 1 + sides, 1 + sides], axis=1) / 2 * [width, height, width, height]
    known = np.clip(truth.boxes, 0, [width, height, width, height])
    low = np.maximum(centre[:, None, :2], known[:, :2])  # [S, G, 2]
    both = np.maximum(np.minimum(centre[:, None, 2:], known[:, 2:]) - low, 0).prod(axis=2)
    areas = (sides**2 * width * height)[:, None] + (known[:, 2:] - known[:, :2]).prod(axis=1)
    found = (both / (areas - both)).max(axis=1)
    return float(found[-1]), found


@lru_cache(maxsize=8)
def rings(height: int, width: int) -> np.ndarray:
    """Nearness to the middle of every pixel [H, W], from 0 (the corners) to RINGS - 1: higher scores in a Gaussian."""
    down, across = (((np.arange(side) + 0.5) / side - 0.5) ** 2 for side in (height, width))
    nearness = 1 - 2 * (down[:, None] + across[None])
    return np.minimum((nearness * RINGS).astype(np.int32), RINGS - 1)
