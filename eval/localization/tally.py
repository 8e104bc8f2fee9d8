"""The bootstrap's inner loop."""

from typing import Any

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def tally(weights: Any, images: Any, places: Any, signs: Any, count: int) -> Any:
    """Sum what events change, in every resample: [count, R] int32.

    Args:
        weights: [N, R] uint8, how often an image was drawn.
        images: [K] whose event it is.
        places: [K] where it counts; `count` or more: nowhere.
        signs: [K] +1 or -1.
        count: how many places there are.
    """
    found = np.zeros((count, weights.shape[1]), np.int32)
    for event in range(len(images)):
        if places[event] < count:
            row, drawn, sign = found[places[event]], weights[images[event]], signs[event]
            for resample in range(len(drawn)):
                row[resample] += sign * np.int32(drawn[resample])
    return found
