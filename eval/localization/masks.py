"""Pixels of object and background by the score map's value there: what PxAP and IoU of masks are made from.

corrected: the map is read at the place of every pixel of the mask (the map's pixel around its centre), so maps and
masks may have any size. Pixels of the mask beyond the map's window score lowest: at no threshold does the map call
them object. Values are scaled as for boxes (levels.py; padding is no part of a map, trace.py), and told apart at the
thresholds 0, 1 / levels, ..., 1. A map that says nothing about the place calls its whole window object, as for boxes.

compat repeats clovaai/wsolevaluation (commit 96f4b88), evaluation.py, `MaskEvaluator`, `get_mask`, `load_mask_image`:
maps are 224 x 224, from 0 to 1, not scaled; masks are resized to that by the nearest pixel; the bins of values begin at
0, 1 / levels, ..., 1, 2. An 8-bit map is taken as the map divided by 255.

In both the object is the union of its masks (what is not black), and what is ignored counts neither way but where the
object is (Choe et al. 2020, section 4). corrected: a pixel is not black where any of its colours is above 0, of any
number of bits; alpha is no colour. compat: where OpenCV's 8-bit grey is, so that 16-bit masks of instance numbers below
256, and the darkest colours, are black.

Letters: H x W pixels of a mask, K thresholds.
"""

import math
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from eval.errors import EvalError
from eval.localization import baselines
from eval.localization.settings import WSOLEVALUATION_SIDE as SIDE
from eval.localization.settings import Geometry, Settings
from eval.localization.truth import Truth, Window


class Pixels(NamedTuple):
    """One image's pixels: how many of the object and of the background have a value in each bin."""

    inside: np.ndarray
    """[K]; bin k: from thresholds[k] up to the next."""
    outside: np.ndarray
    centre_inside: np.ndarray
    """[RINGS]: by nearness to the middle (baselines.py)."""
    centre_outside: np.ndarray
    total: int
    """Pixels of the mask, the ignored ones as well."""


@lru_cache(maxsize=4)
def thresholds(settings: Settings) -> np.ndarray:
    """Lower ends of the bins, ascending: [K] float64. corrected: -inf, 0, 1 / levels, ..., 1, at most 1000 steps."""
    if settings.geometry == "compat":
        assert settings.levels != "exact"
        return np.append(np.arange(0, 1, 1 / settings.levels), [1.0, 2.0])
    return np.concatenate([[-np.inf], np.arange(steps(settings) + 1) / steps(settings)])


def steps(settings: Settings) -> int:
    """How many thresholds above 0 pixels are told apart at (corrected)."""
    return 1000 if settings.levels == "exact" else min(settings.levels, 1000)


def inside_image(shape: tuple[int, ...], window: Window, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of a map [h, w] whose centres are in the image (width, height); the others are padding.

    As for boxes (trace.py).
    """
    found = []
    for cells, start, end, side in (
        (shape[0], window[1], window[3], size[1]),
        (shape[1], window[0], window[2], size[0]),
    ):
        step = (end - start) / cells
        first, last = (math.ceil((edge - start) / step - 0.5) for edge in (0.0, float(side)))
        found.append(slice(max(first, 0), min(max(last, 0), cells)))
    return found[0], found[1]


def count_pixels(values: np.ndarray, truth: Truth, window: Window, settings: Settings) -> Pixels:
    """Count the pixels of a map [h, w] by value; it was checked (levels.py).

    Raises:
        EvalError: a mask file is missing or cannot be read; compat: a map that is not 224 x 224, is outside of 0 to 1,
            or has a window that is not the whole image; corrected: a window without a pixel in the image.
    """
    from eval.localization.tally import count_places  # numba

    if settings.geometry == "compat":
        found, asked = _compat_bins(values, truth, window, settings), (SIDE, SIDE)
    else:
        found, asked = _corrected_bins(values, truth, window, settings), None
    inside, ignored = read_masks(truth, asked, settings.geometry)
    rows, columns = (np.arange(side) for side in inside.shape)
    near = baselines.rings(*inside.shape)
    centre = count_places(near, rows, columns, inside, ignored, baselines.RINGS)
    if asked is None:
        rows = _places(inside.shape[0], truth.size[1], window[1::2], values.shape[0])
        columns = _places(inside.shape[1], truth.size[0], window[0::2], values.shape[1])
    counts = count_places(found, rows, columns, inside, ignored, len(thresholds(settings)))
    return Pixels(counts[1], counts[0], centre[1], centre[0], inside.size)


def read_masks(truth: Truth, shape: tuple[int, int] | None, geometry: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """The object and what is ignored, [H, W] bool each; of the first mask's size, or of `shape`.

    EvalError names the image and the file that cannot be read.
    """
    inside: np.ndarray | None = None
    for path in truth.masks:
        mask = _resized(path, truth.id, inside.shape if inside is not None else shape, geometry)
        inside = mask if inside is None else inside | mask
    assert inside is not None
    if truth.ignore is None:
        return inside, np.zeros_like(inside)
    return inside, _resized(truth.ignore, truth.id, inside.shape, geometry) & ~inside


def read_mask(path: Path, geometry: Geometry) -> np.ndarray:
    """Where one mask file is not black: [H, W] bool.

    EvalError names the file: missing, no image that OpenCV reads, or damaged.
    """
    import cv2

    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise EvalError(f"mask {path} cannot be read: {error.strerror}") from None
    try:
        flags = cv2.IMREAD_GRAYSCALE if geometry == "compat" else cv2.IMREAD_UNCHANGED
        mask = cv2.imdecode(data, flags) if data.size else None
    except cv2.error as error:  # more pixels than OpenCV takes
        raise EvalError(f"mask {path} cannot be read: {error.err}") from None
    if mask is None:
        raise EvalError(f"mask {path} is not an image, or damaged")
    return np.asarray((mask[..., :3] > 0).any(axis=2) if mask.ndim == 3 else mask > 0)


def _resized(path: Path, name: str, shape: tuple[int, ...] | None, geometry: Geometry) -> np.ndarray:
    """[H, W] bool, resized by the nearest pixel to `shape`."""
    import cv2

    try:
        mask = read_mask(path, geometry)
    except EvalError as error:
        raise EvalError(f"{name}: {error}") from None
    if shape is None or mask.shape == shape:
        return mask
    return np.asarray(cv2.resize(mask.astype(np.uint8), shape[::-1], interpolation=cv2.INTER_NEAREST) > 0)


def _places(pixels: int, side: int, window: tuple[float, ...], cells: int) -> np.ndarray:
    """The map's row (column) of each row (column) of a mask: [pixels]; `cells` where it lies beyond the window."""
    centres = (np.arange(pixels) + 0.5) * side / pixels
    found = np.floor((centres - window[0]) * cells / (window[1] - window[0])).astype(np.intp)
    return np.where((found >= 0) & (found < cells), found, cells)


def _corrected_bins(values: np.ndarray, truth: Truth, window: Window, settings: Settings) -> np.ndarray:
    """[h + 1, w + 1] bins; the last row and column, 0, are for pixels beyond the window, and so is padding."""
    from eval.localization import levels  # numba

    bins = np.zeros((values.shape[0] + 1, values.shape[1] + 1), np.int32)
    shown = inside_image(values.shape, window, truth.size)
    if not values[shown].size:
        raise EvalError(f"{truth.id}: the map's window {window} has no pixel in the image of {truth.size}")
    found = levels.to_levels(values[shown], settings.scale, steps(settings))
    ends = thresholds(settings)
    if isinstance(found, levels.Unlocalized):
        bins[shown] = len(ends) - 1
    else:
        bins[shown] = (np.searchsorted(ends, found[1], side="right") - 1)[found[0]]
    return bins


def _compat_bins(values: np.ndarray, truth: Truth, window: Window, settings: Settings) -> np.ndarray:
    if values.shape != (SIDE, SIDE):
        raise EvalError(f"{truth.id}: compat compares masks with maps of {SIDE} x {SIDE} only, came {values.shape}")
    if tuple(window) != (0, 0, *truth.size):
        raise EvalError(f"{truth.id}: compat knows maps of the whole image {truth.size} only, this covers {window}")
    floats = values / 255.0 if values.dtype == np.uint8 else values.astype(np.float64)
    if floats.min() < 0 or floats.max() > 1:
        raise EvalError(f"{truth.id}: compat expects values from 0 to 1, came {floats.min():g} to {floats.max():g}")
    return (np.searchsorted(thresholds(settings), floats, side="right") - 1).astype(np.int32)
