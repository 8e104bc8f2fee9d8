"""The inner loops of bootstrap and masks."""

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


@njit(nogil=True, cache=True)
def count_places(bins: Any, rows: Any, columns: Any, inside: Any, ignored: Any, count: int) -> Any:
    """How many pixels of a mask, outside (0) and inside (1), have each bin: [2, count] int64.

    Args:
        bins: [h, w] int32, of a map.
        rows: [H] the map's row of each row of the mask.
        columns: [W] the same for columns.
        inside: [H, W] bool.
        ignored: [H, W] bool: pixels that are not counted.
        count: how many bins there are.
    """
    found = np.zeros((2, count), np.int64)
    for y in range(inside.shape[0]):
        row = bins[rows[y]]
        for x in range(inside.shape[1]):
            if not ignored[y, x]:
                found[np.int64(inside[y, x]), row[columns[x]]] += 1
    return found
