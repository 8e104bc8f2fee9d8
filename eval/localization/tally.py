"""The inner loops of bootstrap, masks and baselines."""

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


@njit(nogil=True, cache=True)
def centre_ious(boxes: Any, width: float, height: float, count: int) -> Any:
    """IoU of the box in the middle, of sides 1 / count, 2 / count, ..., 1 of the image's: [count] float64.

    Args:
        boxes: [G, 4] float64 pixels, half-open; clipped to the image here. The best one counts.
        width: of the image, in pixels.
        height: of the image.
        count: how many sides.
    """
    found = np.zeros(count)
    for box in range(len(boxes)):
        x0, x1 = min(max(boxes[box, 0], 0.0), width), min(max(boxes[box, 2], 0.0), width)
        y0, y1 = min(max(boxes[box, 1], 0.0), height), min(max(boxes[box, 3], 0.0), height)
        for place in range(count):
            side = (place + 1) / count
            across = min((1 + side) / 2 * width, x1) - max((1 - side) / 2 * width, x0)
            down = min((1 + side) / 2 * height, y1) - max((1 - side) / 2 * height, y0)
            both = max(across, 0.0) * max(down, 0.0)
            iou = both / (side * side * width * height + (x1 - x0) * (y1 - y0) - both)
            found[place] = max(found[place], iou)
    return found
