"""What part of an image a training sample shows, drawn first, and then made with as little decoding as that part needs.

A window is drawn in the pixels of the file, before a pixel is decoded; it may reach beyond the image, which zooms out.
The part of the image inside it is decoded and resized once. Where a window reaches beyond the image, the image's edges
come to lie on whole pixels of the result (they move by half a pixel at most), and boxes go by where the pixels are.

H, W: height and width of the result; B boxes of one image, x0, y0, x1, y1, half-open.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from core.data.pictures import Picture, Pixels
from core.data.records import Box
from core.resizing import resize
from transfer.tasks.detection.colours import Distortion

Boxes = NDArray[np.float64]
"""[B, 4]"""


class Window(NamedTuple):
    """A part of an image's plane, in pixels of the file. left, top: may be negative."""

    left: int
    top: int
    width: int
    height: int


class Drawn(NamedTuple):
    """How one sample shows its image."""

    window: Window
    flipped: bool = False
    kept: tuple[int, ...] | None = None
    """Which objects stay; None: all."""
    smallest: float = 0.0
    """Objects whose box has a side of less than this, in pixels of the result, are dropped; so is one without area."""
    colours: Distortion | None = None


class Augmentation(ABC):
    """What happens to a training image beside resizing; all randomness is drawn here."""

    @abstractmethod
    def draw(self, height: int, width: int, boxes: Sequence[Box], rng: random.Random) -> Drawn:
        """A view of an image of this size with these boxes (pixels of the file)."""


@dataclass(frozen=True)
class Flip(Augmentation):
    """The whole image, mirrored left to right with this probability."""

    probability: float = 0.5

    def draw(self, height: int, width: int, boxes: Sequence[Box], rng: random.Random) -> Drawn:
        """The whole image."""
        return Drawn(Window(0, 0, width, height), flipped=rng.random() < self.probability)


class _Axis(NamedTuple):
    """One axis of a window that is shown on `size` pixels: of the image, [start, stop) comes to [first, last)."""

    start: int
    stop: int
    first: int
    last: int

    def map(self, values: Boxes, size: int) -> Boxes:
        """Places in the file to places in the result, cut to it."""
        scale = (self.last - self.first) / (self.stop - self.start)
        return ((values - self.start) * scale + self.first).clip(0.0, size)


def show(
    picture: Picture, boxes: Boxes, drawn: Drawn, size: tuple[int, int], fill: tuple[int, int, int]
) -> tuple[Pixels, NDArray[np.float32], NDArray[np.intp]]:
    """The view of a picture.

    Args:
        picture: the image. boxes: [B, 4] in its pixels.
        drawn: what to show.
        size: H and W of the result.
        fill: RGB of what lies beyond the image.

    Returns:
        uint8 [H, W, 3]; the boxes [B', 4] float32 that stay, in its pixels; and which of the B those are: [B'].

    Raises:
        DataError: the image is broken.
    """
    window, (height, width) = drawn.window, size
    x = _axis(window.left, window.width, picture.width, width)
    y = _axis(window.top, window.height, picture.height, height)
    part = resize(
        picture.crop(y.start, x.start, y.stop - y.start, x.stop - x.start), y.last - y.first, x.last - x.first
    )
    if drawn.colours is not None:
        part = np.array(part, order="C")  # it may be a view of an image that is kept
        drawn.colours(part)
    pixels = np.require(part, requirements="W")  # torch takes no other
    if part.shape[:2] != size:
        pixels = np.empty((height, width, 3), np.uint8)
        pixels[:] = np.tile(np.array(fill, np.uint8), (width, 1))  # by rows: many times as fast as by triples
        pixels[y.first : y.last, x.first : x.last] = part
    kept = np.arange(len(boxes)) if drawn.kept is None else np.array(drawn.kept, np.intp)
    placed = np.empty((len(kept), 4))
    placed[:, 0::2], placed[:, 1::2] = x.map(boxes[kept, 0::2], width), y.map(boxes[kept, 1::2], height)
    if drawn.flipped:
        pixels = torch.from_numpy(pixels).flip(1).numpy()  # numpy's own reversed copy takes 30 times as long
        placed[:, 0::2] = width - placed[:, 2::-2]
    found = placed.astype(np.float32)  # a sliver may end with no side at all, which no detector takes
    sides = found[:, 2:] - found[:, :2]
    large = ((sides > 0) & (sides >= drawn.smallest)).all(axis=1)
    return pixels, found[large], kept[large]


def _axis(start: int, length: int, of: int, size: int) -> _Axis:
    """Along one axis: a window of `length` from `start`, on an image of `of` pixels, shown on `size`."""
    low, high = max(start, 0), min(start + length, of)
    first = min(round((low - start) * size / length), size - 1)
    return _Axis(low, high, first, max(first + 1, round((high - start) * size / length)))
