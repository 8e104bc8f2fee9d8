"""The photometric distortion of SSD's training (Liu et al., arXiv 1512.02325; Howard, arXiv 1312.5402), on bytes.

Amounts, order and rounding are those of torchvision's v2.RandomPhotometricDistort, and so are the results, but for the
last bit of one byte in a hundred. Brightness and contrast are tables of 256 entries; saturation and hue are compiled
by numba, a pixel at a time. ssd.pytorch differs: it adds to the brightness, contrast scales about black instead of the
mean, and saturation scales the S of HSV.

H rows, W columns; images are uint8 [H, W, 3], RGB, contiguous.
"""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.compiled import compiled
from core.data.pictures import Pixels

_GREY = (0.2989, 0.587, 0.114)  # torchvision's weights
_UP = np.float32(255.999 / 255.0)  # torchvision's way from 0..1 to bytes: times 255.999, without the fraction
_ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


@dataclass(frozen=True)
class Distortion:
    """One change of an image's colours; None: this part of it is left out."""

    brightness: float | None = None
    """Factor of all channels."""
    contrast: float | None = None
    """Factor of the distance from the image's mean grey."""
    contrast_first: bool = True
    """Whether contrast changes before saturation and hue, or after."""
    saturation: float | None = None
    """Factor of the distance from the pixel's grey."""
    hue: float | None = None
    """What is added to the hue, in turns of the colour circle."""
    channels: tuple[int, int, int] | None = None
    """Which channel each of the three becomes."""

    @classmethod
    def drawn(cls, rng: random.Random) -> "Distortion":
        """Each part with probability 1/2: brightness .875 to 1.125, contrast and saturation .5 to 1.5, hue +-.05."""
        amounts = {
            name: rng.uniform(low, high) if rng.random() < 0.5 else None
            for name, low, high in _RANGES
        }  # fmt: skip
        first = rng.random() < 0.5
        channels = rng.choice(_ORDERS) if rng.random() < 0.5 else None
        return cls(contrast_first=first, channels=channels, **amounts)

    def __call__(self, pixels: Pixels) -> None:
        """Change the image in place."""
        if self.brightness is not None:
            _look_up(pixels.reshape(-1), _table(self.brightness, 0.0))
        if self.contrast is not None and self.contrast_first:
            _contrast(pixels, self.contrast)
        if self.saturation is not None:
            _saturate(pixels.reshape(-1, 3), np.float32(self.saturation), np.float32(1.0 - self.saturation))
        if self.hue is not None:
            _turn(pixels.reshape(-1, 3), np.float32(self.hue))
        if self.contrast is not None and not self.contrast_first:
            _contrast(pixels, self.contrast)
        if self.channels is not None and self.channels != (0, 1, 2):
            _permute(pixels.reshape(-1, 3), *self.channels)


_RANGES = (("brightness", 0.875, 1.125), ("contrast", 0.5, 1.5), ("saturation", 0.5, 1.5), ("hue", -0.05, 0.05))


def _contrast(pixels: Pixels, factor: float) -> None:
    mean = _grey_sum(pixels.reshape(-1, 3)) / (pixels.shape[0] * pixels.shape[1])
    _look_up(pixels.reshape(-1), _table(factor, mean * (1.0 - factor)))


def _table(factor: float, offset: float) -> NDArray[np.uint8]:
    """Every byte times the factor plus the offset, cut to 0..255, without its fraction: [256]."""
    values = np.arange(256, dtype=np.float32) * np.float32(factor) + np.float32(offset)
    return values.clip(0, 255).astype(np.uint8)


@compiled()
def _look_up(x: Any, table: Any) -> None:
    for i in range(len(x)):
        x[i] = table[x[i]]


@compiled()
def _grey_sum(x: Any) -> int:
    r, g, b = np.float32(_GREY[0]), np.float32(_GREY[1]), np.float32(_GREY[2])
    total = 0
    for i in range(len(x)):
        total += int(r * np.float32(x[i, 0]) + g * np.float32(x[i, 1]) + b * np.float32(x[i, 2]))
    return total


@compiled()
def _saturate(x: Any, factor: Any, rest: Any) -> None:
    r, g, b = np.float32(_GREY[0]), np.float32(_GREY[1]), np.float32(_GREY[2])
    for i in range(len(x)):
        grey = rest * np.floor(r * np.float32(x[i, 0]) + g * np.float32(x[i, 1]) + b * np.float32(x[i, 2]))
        for k in range(3):
            x[i, k] = np.uint8(min(max(np.float32(x[i, k]) * factor + grey, np.float32(0.0)), np.float32(255.0)))


@compiled()
def _permute(x: Any, first: int, second: int, third: int) -> None:
    for i in range(len(x)):
        x[i, 0], x[i, 1], x[i, 2] = x[i, first], x[i, second], x[i, third]


@compiled()
def _turn(x: Any, amount: Any) -> None:
    """Add to the hue of HSV. With V - S V = the smallest and V the largest channel, those two stay as they are."""
    for i in range(len(x)):
        r, g, b = np.float32(x[i, 0]), np.float32(x[i, 1]), np.float32(x[i, 2])
        high, low = max(r, g, b), min(r, g, b)
        if high == low:
            continue
        spread = high - low
        if high == r:
            hue = (g - b) / spread
        elif high == g:
            hue = np.float32(2.0) + (b - r) / spread
        else:
            hue = np.float32(4.0) + (r - g) / spread
        hue = hue + np.float32(6.0) * amount
        if hue < np.float32(0.0):
            hue += np.float32(6.0)
        elif hue >= np.float32(6.0):
            hue -= np.float32(6.0)
        sector = int(hue)
        part = spread * (hue - np.float32(sector))
        rising, falling = np.uint8((low + part) * _UP), np.uint8((high - part) * _UP)
        top, bottom = np.uint8(high), np.uint8(low)
        if sector == 0:
            x[i, 0], x[i, 1], x[i, 2] = top, rising, bottom
        elif sector == 1:
            x[i, 0], x[i, 1], x[i, 2] = falling, top, bottom
        elif sector == 2:
            x[i, 0], x[i, 1], x[i, 2] = bottom, top, rising
        elif sector == 3:
            x[i, 0], x[i, 1], x[i, 2] = bottom, falling, top
        elif sector == 4:
            x[i, 0], x[i, 1], x[i, 2] = rising, bottom, top
        else:
            x[i, 0], x[i, 1], x[i, 2] = top, bottom, falling
