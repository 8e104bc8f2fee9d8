"""A score map as whole-numbered levels, and the threshold that each level stands for.

A map is first scaled: `s = (v - low) / (high - low)`, where low is 0 or the map's minimum and high its maximum
(`Settings.scale`). The mask `s >= t` is the pixels of the levels from l on, for the lowest l with thresholds[l] >= t.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numba import njit

from eval.errors import EvalError
from eval.localization.settings import Scale

Levels = tuple[np.ndarray, np.ndarray]
"""Levels [H, W] uint16 or int32 from 0, and thresholds [L] float64, ascending; the first is -inf where values below 0
stand apart."""

_FLOATS = (np.float16, np.float32, np.float64)


@dataclass(frozen=True)
class Unlocalized:
    """A map that says nothing about the place: constant, or without a positive value where thresholds start at 0."""


def checked(values: np.ndarray, name: str) -> np.ndarray:
    """The map, float16 widened to float32.

    Raises:
        EvalError: names the image; not 2-D, empty, too large, of another type, or with NaN or infinity.
    """
    if values.ndim != 2 or not values.size or max(values.shape) > 32_766:
        raise EvalError(f"{name}: a score map of shape {values.shape}, expected height x width of 1 to 32,766 pixels")
    if values.dtype == np.uint8:
        return values
    if values.dtype not in _FLOATS:
        raise EvalError(f"{name}: a score map of type {values.dtype}, expected uint8, float16, float32 or float64")
    wide = values.astype(np.float32) if values.dtype == np.float16 else values
    if not (math.isfinite(wide.min()) and math.isfinite(wide.max())):  # NaN is the minimum of what holds one
        bad = np.argwhere(~np.isfinite(wide))
        raise EvalError(
            f"{name}: the score map holds NaN or infinity at {len(bad)} pixels, the first at y, x {bad[0].tolist()}"
        )
    return wide


def to_levels(values: np.ndarray, scale: Scale, count: int | Literal["exact"]) -> Levels | Unlocalized:
    """A checked map's levels. 8-bit maps: every value. Floats: thresholds k / count, or every value ("exact")."""
    low, high = float(values.min()), float(values.max())
    start = low if scale == "minmax" else 0.0
    if high <= start:
        return Unlocalized()
    if values.dtype == np.uint8:
        first = int(start)
        levels = values.astype(np.uint16) - np.uint16(first) if first else values.astype(np.uint16)
        return levels, np.arange(int(high) - first + 1) / (int(high) - first)
    below = low < start  # values that no threshold from 0 to 1 lets in
    if count == "exact":
        scaled = (values.astype(np.float64) - start) / (high - start)
        thresholds, inverse = np.unique(np.where(scaled < 0, -np.inf, scaled), return_inverse=True)
        return inverse.reshape(values.shape).astype(np.int32), thresholds
    thresholds = np.arange(count + 1) / count
    levels = _grid(values, start, high - start, count, int(below))
    return levels, np.concatenate([[-np.inf], thresholds]) if below else thresholds


@njit(nogil=True, cache=True)
def looked_up(values: Any, table: Any) -> Any:
    """table[values] of an 8-bit map [H, W], five times as fast."""
    found = np.empty(values.shape, table.dtype)
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            found[y, x] = table[values[y, x]]
    return found


@njit(nogil=True, cache=True)
def _grid(values: Any, start: float, span: float, count: int, shift: int) -> Any:
    """How many of the thresholds 0, 1 / count, ... a pixel reaches, less one, plus the shift; below 0: level 0."""
    levels = np.empty(values.shape, np.uint16)
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            scaled = (values[y, x] - start) / span
            level = int(scaled * count)
            if level / count > scaled:  # the product was rounded over a whole number, or short of it
                level -= 1
            elif (level + 1) / count <= scaled:
                level += 1
            levels[y, x] = level + shift if scaled >= 0 else 0
    return levels
