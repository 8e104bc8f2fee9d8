"""Pixels of object and background by the score map's value there: what PxAP and IoU of masks are made from.

corrected: the map is read at the place of every pixel of the mask (the map's pixel around its centre), so maps and
masks may have any size. Pixels of the mask beyond the map's window score lowest: at no threshold does the map call
them object. Values are scaled as for boxes (levels.py), and told apart at the thresholds 0, 1 / levels, ..., 1. A map
that says nothing about the place calls its whole window object, as for boxes.

compat repeats clovaai/wsolevaluation (commit 96f4b88), evaluation.py, `MaskEvaluator`, `get_mask`, `load_mask_image`:
maps are 224 x 224, from 0 to 1, not scaled; masks are resized to that by the nearest pixel; the bins of values begin at
0, 1 / levels, ..., 1, 2. An 8-bit map is taken as the map divided by 255.

In both the object is the union of its masks (what is not black), and what is ignored counts neither way but where the
object is (Choe et al. 2020, section 4).

Letters: H x W pixels of a mask, K thresholds.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from eval.errors import EvalError
from eval.localization import baselines
from eval.localization.settings import Settings
from eval.localization.truth import Truth, Window

SIDE = 224
"""wsolevaluation's size of maps and masks."""
_FLOATS = (np.float16, np.float32, np.float64)


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


def checked(values: np.ndarray, name: str) -> np.ndarray:
    """The map as it is, once it is known that it can be evaluated.

    Raises:
        EvalError: names the image; not 2-D, empty, of another type than uint8 or floats, or with NaN or infinity.
    """
    if not isinstance(values, np.ndarray) or values.ndim != 2 or not values.size:
        shape = getattr(values, "shape", type(values).__name__)
        raise EvalError(f"{name}: a score map of shape {shape}, expected height x width")
    if values.dtype != np.uint8 and values.dtype not in _FLOATS:
        raise EvalError(f"{name}: a score map of type {values.dtype}, expected uint8, float16, float32 or float64")
    if values.dtype != np.uint8 and not np.isfinite([values.min(), values.max()]).all():
        raise EvalError(f"{name}: the score map holds NaN or infinity")
    return values


def count_pixels(values: np.ndarray, truth: Truth, window: Window, settings: Settings) -> Pixels:
    """Count the pixels of a checked map [h, w] by value.

    Raises:
        EvalError: a mask file is missing or cannot be read; compat: a map that is not 224 x 224, is outside of 0 to 1,
            or has a window that is not the whole image.
    """
    from eval.localization.tally import count_places  # numba

    if settings.geometry == "compat":
        found, asked = _compat_bins(values, truth, window, settings), (SIDE, SIDE)
    else:
        found, asked = _corrected_bins(values, truth.id, settings), None
    inside, ignored = read_masks(truth, asked)
    rows, columns = (np.arange(side) for side in inside.shape)
    near = baselines.rings(*inside.shape)
    centre = count_places(near, rows, columns, inside, ignored, baselines.RINGS)
    if asked is None:
        rows = _places(inside.shape[0], truth.size[1], window[1::2], values.shape[0])
        columns = _places(inside.shape[1], truth.size[0], window[0::2], values.shape[1])
    counts = count_places(found, rows, columns, inside, ignored, len(thresholds(settings)))
    return Pixels(counts[1], counts[0], centre[1], centre[0], inside.size)


def read_masks(truth: Truth, shape: tuple[int, int] | None) -> tuple[np.ndarray, np.ndarray]:
    """The object and what is ignored, [H, W] bool each; of the first mask's size, or of `shape`."""
    inside: np.ndarray | None = None
    for path in truth.masks:
        mask = _read(path, truth.id, inside.shape if inside is not None else shape)
        inside = mask if inside is None else inside | mask
    assert inside is not None
    if truth.ignore is None:
        return inside, np.zeros_like(inside)
    return inside, _read(truth.ignore, truth.id, inside.shape) & ~inside


def _read(path: Path, name: str, shape: tuple[int, ...] | None) -> np.ndarray:
    """[H, W] bool, resized by the nearest pixel to `shape`."""
    import cv2

    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise EvalError(f"{name}: mask {path} cannot be read: {error.strerror}") from None
    mask = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if mask is None:
        raise EvalError(f"{name}: mask {path} is not an image, or damaged")
    if shape is not None and mask.shape != shape:
        mask = cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(mask > 0)


def _places(pixels: int, side: int, window: tuple[float, ...], cells: int) -> np.ndarray:
    """The map's row (column) of each row (column) of a mask: [pixels]; `cells` where it lies beyond the window."""
    centres = (np.arange(pixels) + 0.5) * side / pixels
    found = np.floor((centres - window[0]) * cells / (window[1] - window[0])).astype(np.intp)
    return np.where((found >= 0) & (found < cells), found, cells)


def _corrected_bins(values: np.ndarray, name: str, settings: Settings) -> np.ndarray:
    """[h + 1, w + 1] bins; the last row and column, 0, are for pixels beyond the window."""
    from eval.localization import levels  # numba

    bins = np.zeros((values.shape[0] + 1, values.shape[1] + 1), np.int32)
    found = levels.to_levels(levels.checked(values, name), settings.scale, steps(settings))
    ends = thresholds(settings)
    if isinstance(found, levels.Unlocalized):
        bins[:-1, :-1] = len(ends) - 1
    else:
        bins[:-1, :-1] = (np.searchsorted(ends, found[1], side="right") - 1)[found[0]]
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
