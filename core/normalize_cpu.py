"""The CPU's side of `core/normalize.py`: one pass over a batch, compiled by numba, one thread for each of torch's.

[N, H, W, 3] uint8 in, float32 out, both contiguous. The three channels follow each other in memory, so factors are
repeated over a block of 48 numbers (sixteen pixels): the inner loop then has no remainder in it and becomes vectors.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numba import njit

_BLOCK = 48

Factors = tuple[Any, Any]
Blended = tuple[Any, float, tuple[int, int, int, int] | None]


def run(x: Any, out: Any, plain: Factors, colours: Factors | None, blend: Blended | None) -> None:
    """Fill `out`.

    Args:
        x: uint8 [N, H, W, 3].
        out: float32 [N, H, W, 3].
        plain: scale and shift, each [3]: out = x * scale + shift.
        colours: matrix [N, 3, 3] and offset [N, 3] that stand in their place; None: none.
        blend: partner [N], the weight of an image's own pixels, and the box y0, x0, y1, x1 where pairs are added
            (None: everywhere); None: nothing is added.
    """
    images, height, width, _ = x.shape
    partner, lam, box = blend or (np.arange(images), 1.0, (0, 0, 0, 0))
    y0, x0, y1, x1 = box or (0, 0, height, width)
    place = np.array((y0, x0, y1, x1), np.int64)
    if colours is None:
        factors = tuple(np.tile(np.asarray(values, np.float32), _BLOCK // 3) for values in plain)
        arguments: tuple[Any, ...] = (x, out, *factors, partner, np.float32(lam), place)
        kernel: Any = _plain
    else:
        arguments = (x, out, *map(np.ascontiguousarray, colours), partner, np.float32(lam), place)
        kernel = _coloured
    threads = min(torch.get_num_threads(), images)
    if threads == 1:
        kernel(*arguments, 0, images)
        return
    edges = [images * i // threads for i in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda pair: kernel(*arguments, *pair), pairwise(edges)))


@njit(nogil=True, cache=True, fastmath={"contract"})
def _row(x: Any, out: Any, scale: Any, shift: Any) -> None:
    """A run of whole pixels, flat."""
    whole = len(x) // _BLOCK * _BLOCK
    for start in range(0, whole, _BLOCK):
        for k in range(_BLOCK):
            out[start + k] = np.float32(x[start + k]) * scale[k] + shift[k]
    for k in range(whole, len(x)):
        out[k] = np.float32(x[k]) * scale[k - whole] + shift[k - whole]


@njit(nogil=True, cache=True, fastmath={"contract"})
def _pair(x: Any, y: Any, out: Any, own: Any, other: Any, shift: Any) -> None:
    """A run of whole pixels of two images, flat."""
    whole = len(x) // _BLOCK * _BLOCK
    for start in range(0, whole, _BLOCK):
        for k in range(_BLOCK):
            out[start + k] = np.float32(x[start + k]) * own[k] + (np.float32(y[start + k]) * other[k] + shift[k])
    for k in range(whole, len(x)):
        j = k - whole
        out[k] = np.float32(x[k]) * own[j] + (np.float32(y[k]) * other[j] + shift[j])


@njit(nogil=True, cache=True, fastmath={"contract"})
def _plain(x: Any, out: Any, scale: Any, shift: Any, partner: Any, lam: Any, box: Any, first: int, last: int) -> None:
    height, width = x.shape[1], x.shape[2]
    y0, x0, y1, x1 = box[0], 3 * box[1], box[2], 3 * box[3]
    own, other = scale * lam, scale * (np.float32(1.0) - lam)
    for i in range(first, last):
        image, target, mate = x[i].reshape(-1), out[i].reshape(-1), x[partner[i]].reshape(-1)
        for row in range(height):
            a, b = row * width * 3, (row + 1) * width * 3
            if row < y0 or row >= y1 or x0 == x1:
                _row(image[a:b], target[a:b], scale, shift)
                continue
            _row(image[a : a + x0], target[a : a + x0], scale, shift)
            if lam == 0:
                _row(mate[a + x0 : a + x1], target[a + x0 : a + x1], scale, shift)
            else:
                _pair(image[a + x0 : a + x1], mate[a + x0 : a + x1], target[a + x0 : a + x1], own, other, shift)
            _row(image[a + x1 : b], target[a + x1 : b], scale, shift)


@njit(nogil=True, cache=True, fastmath={"contract"})
def _coloured(
    x: Any, out: Any, matrix: Any, offset: Any, partner: Any, lam: Any, box: Any, first: int, last: int
) -> None:
    height, width = x.shape[1], x.shape[2]
    for i in range(first, last):
        mate = partner[i]
        for row in range(height):
            inside = box[0] <= row < box[2]
            for column in range(width):
                paired = inside and box[1] <= column < box[3]
                for c in range(3):
                    value = offset[i, c]
                    for k in range(3):
                        value += matrix[i, c, k] * np.float32(x[i, row, column, k])
                    if paired:
                        other = offset[mate, c]
                        for k in range(3):
                            other += matrix[mate, c, k] * np.float32(x[mate, row, column, k])
                        value = lam * value + (np.float32(1.0) - lam) * other
                    out[i, row, column, c] = value
