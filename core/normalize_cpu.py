"""The CPU's side of `core/normalize.py`: one pass over a batch, compiled by numba, one thread for each of torch's.

[N, H, W, 3] uint8 in, float32 out, both contiguous. The three channels follow each other in memory, so the factors are
repeated over a run of pixels: the innermost loop is then over flat arrays of one length, which becomes vectors.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from core.compiled import compiled

_RUN = 1024
"""Pixels: long enough that starting a run costs nothing, short enough that its factors stay in the first cache."""

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
        factors = tuple(np.tile(np.asarray(values, np.float32), max(_RUN, width)) for values in plain)
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


@compiled(fastmath={"contract"})
def _alone(x: Any, out: Any, scale: Any, shift: Any) -> None:
    """Whole pixels, flat, no more than there are factors."""
    for k in range(len(x)):
        out[k] = np.float32(x[k]) * scale[k] + shift[k]


@compiled(fastmath={"contract"})
def _paired(x: Any, y: Any, out: Any, own: Any, other: Any, shift: Any) -> None:
    """Whole pixels of two images, flat, no more than there are factors."""
    for k in range(len(x)):
        out[k] = np.float32(x[k]) * own[k] + (np.float32(y[k]) * other[k] + shift[k])


@compiled(fastmath={"contract"})
def _span(x: Any, y: Any, out: Any, own: Any, other: Any, shift: Any) -> None:
    """As `_paired`, any number of pixels; where `y` is empty, as `_alone`."""
    run = len(own)
    for a in range(0, len(x), run):
        if len(y) == 0:
            _alone(x[a : a + run], out[a : a + run], own, shift)
        else:
            _paired(x[a : a + run], y[a : a + run], out[a : a + run], own, other, shift)


@compiled(fastmath={"contract"})
def _plain(x: Any, out: Any, scale: Any, shift: Any, partner: Any, lam: Any, box: Any, first: int, last: int) -> None:
    length, size = 3 * x.shape[2], 3 * x.shape[1] * x.shape[2]
    top, bottom, x0, x1 = box[0] * length, box[2] * length, 3 * box[1], 3 * box[3]
    own, other = scale * lam, scale * (np.float32(1.0) - lam)
    flat, flat_out = x.reshape(-1), out.reshape(-1)  # slices of many dimensions take longer than a row's numbers
    none = flat[:0]
    for i in range(first, last):
        image, target = flat[i * size : (i + 1) * size], flat_out[i * size : (i + 1) * size]
        mate = flat[partner[i] * size : (partner[i] + 1) * size]
        if x1 - x0 == length:
            _span(image[:top], none, target[:top], scale, other, shift)
            _span(image[top:bottom], mate[top:bottom], target[top:bottom], own, other, shift)
            _span(image[bottom:], none, target[bottom:], scale, other, shift)
            continue
        _span(image[:top], none, target[:top], scale, other, shift)
        for row in range(top, bottom, length):
            a, b, end = row + x0, row + x1, row + length
            _alone(image[row:a], target[row:a], scale, shift)
            if lam == 0:
                _alone(mate[a:b], target[a:b], scale, shift)
            else:
                _paired(image[a:b], mate[a:b], target[a:b], own, other, shift)
            _alone(image[b:end], target[b:end], scale, shift)
        _span(image[bottom:], none, target[bottom:], scale, other, shift)


@compiled(fastmath={"contract"})
def _colour_row(x: Any, out: Any, matrix: Any, offset: Any) -> None:
    """A run of whole pixels, flat: matrix [3, 3] @ rgb + offset [3]."""
    rr, rg, rb, gr, gg, gb, br, bg, bb = matrix.reshape(-1)
    r0, g0, b0 = offset
    for k in range(0, len(x), 3):
        r, g, b = np.float32(x[k]), np.float32(x[k + 1]), np.float32(x[k + 2])
        out[k] = r0 + rr * r + rg * g + rb * b
        out[k + 1] = g0 + gr * r + gg * g + gb * b
        out[k + 2] = b0 + br * r + bg * g + bb * b


@compiled(fastmath={"contract"})
def _coloured(
    x: Any, out: Any, matrix: Any, offset: Any, partner: Any, lam: Any, box: Any, first: int, last: int
) -> None:
    height, length = x.shape[1], 3 * x.shape[2]
    y0, x0, y1, x1 = box[0], 3 * box[1], box[2], 3 * box[3]
    flat, target, other = x.reshape(-1), out.reshape(-1), np.empty(length, np.float32)
    for i in range(first, last):
        j = partner[i]
        for row in range(height):
            a, b = (i * height + row) * length, (j * height + row) * length
            _colour_row(flat[a : a + length], target[a : a + length], matrix[i], offset[i])
            if y0 <= row < y1 and x0 < x1:
                _colour_row(flat[b + x0 : b + x1], other[: x1 - x0], matrix[j], offset[j])
                for k in range(x1 - x0):
                    target[a + x0 + k] = lam * target[a + x0 + k] + (np.float32(1.0) - lam) * other[k]
