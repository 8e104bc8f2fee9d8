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
"""How many distances from the middle are told apart; at most 255."""


def box_ious(truth: Truth) -> tuple[float, np.ndarray]:
    """IoU of the whole image, and of the box in the middle for every side [S], each with the best ground-truth box."""
    from eval.localization.tally import centre_ious  # numba

    width, height = truth.size
    found = centre_ious(np.asarray(truth.boxes, np.float64), float(width), float(height), SIDES)
    return float(found[-1]), found


@lru_cache(maxsize=2)  # 12 MB for a photograph of 12 megapixels
def rings(height: int, width: int) -> np.ndarray:
    """Nearness to the middle of every pixel [H, W] uint8, 0 (corners) to RINGS - 1: higher scores in a Gaussian."""
    down, across = (((np.arange(side) + 0.5) / side - 0.5) ** 2 for side in (height, width))
    found = np.empty((height, width), np.uint8)
    for row, distance in zip(found, down, strict=True):  # whole, the fractions take eight times as much
        row[:] = np.minimum((1 - 2 * (distance + across)) * RINGS, RINGS - 1)
    return found
