"""Where an image's pixels come from, and how a part of them is asked for.

An image is a file of its own (`Path`), or stored in something else (`Stored`): a member of an archive, a row of an
array, an entry of a shard. `open_picture` makes a `Picture` of either: its size is known at once, and `crop` decodes at
least the part that is asked for, so that a source that can decode less than the whole does. The pixels of a crop equal
those of the whole image's decode, whatever the source.
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""[H, W, 3], RGB."""


class Picture(ABC):
    """An image whose size is known and whose pixels are not decoded yet."""

    height: int
    """Rows, in pixels."""
    width: int
    """Columns, in pixels."""

    @abstractmethod
    def crop(self, top: int, left: int, height: int, width: int) -> Pixels:
        """The pixels [height, width, 3] of a box within the image, RGB; not to be written to.

        Raises:
            DataError: the image is broken; the message names it.
        """

    def whole(self) -> Pixels:
        """All pixels [H, W, 3]. DataError as in `crop`."""
        return self.crop(0, 0, self.height, self.width)


class Decoded(Picture):
    """An image whose pixels are there."""

    def __init__(self, pixels: Pixels) -> None:
        """pixels: [H, W, 3]."""
        self.pixels = pixels
        self.height, self.width = pixels.shape[:2]

    def crop(self, top: int, left: int, height: int, width: int) -> Pixels:
        """A view of the pixels."""
        return self.pixels[top : top + height, left : left + width]


class Stored(ABC):
    """An image that is no file of its own. Instances are small and travel to other processes."""

    @property
    @abstractmethod
    def where(self) -> str:
        """What messages call it: "archive.zip: member train/x.JPEG"."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Its size as stored, in bytes: a part of the data set's fingerprint."""

    @abstractmethod
    def open(self) -> Picture:
        """The image. DataError: it cannot be read."""

    @abstractmethod
    def read_bytes(self) -> bytes:
        """Its file. DataError: it cannot be read, or the image is no file (a row of an array)."""

    def __str__(self) -> str:
        return self.where


Source: TypeAlias = Path | Stored
