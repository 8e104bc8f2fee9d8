"""How an image file becomes the encoder's input. H, W: rows and columns of the file; S: side of the crop; in pixels."""

import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.data.images import open_picture
from core.data.pictures import Pixels, Source
from core.resizing import resize


@dataclass(frozen=True)
class View:
    """An image resized, then its centre or a random part of it.

    Resizing is antialiased bilinear as torchvision's v2 does it: at most one of 255 steps from Pillow's, which the
    codes of this field call (measured: 4% of the values of COCO's images differ).
    """

    resize: int
    """Side of the square that the image is stretched to; with `keep_aspect`, of its short side."""
    crop: int
    """S: side of the part that the network sees."""
    augment: bool = False
    """Whether the part's place is random and half of the images are flipped."""
    keep_aspect: bool = False
    """Whether the image keeps its shape (Xu et al., arXiv 1502.03044, section 5.2: short side 256, centre of 224)."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if not 1 <= self.crop <= self.resize:
            raise ValueError(f"crop: expected 1 to resize={self.resize}, got {self.crop}")

    def __call__(self, source: Source, seed: int = 0) -> Tensor:
        """Uint8 [3, S, S] in channels-last memory. `seed` alone decides what `augment` draws.

        Raises:
            DataError: the file is not an image that can be read.
        """
        picture = open_picture(source)
        pixels = resize(picture.whole(), *self._size(picture.height, picture.width))
        height, width = pixels.shape[:2]
        if not self.augment:
            return _tensor(self._cut(pixels, round((height - self.crop) / 2), round((width - self.crop) / 2)))
        rng = random.Random(seed)
        top, left = rng.randint(0, height - self.crop), rng.randint(0, width - self.crop)
        part = _tensor(self._cut(pixels, top, left))
        return part.flip(2) if rng.random() < 0.5 else part

    def _size(self, height: int, width: int) -> tuple[int, int]:
        if not self.keep_aspect:
            return self.resize, self.resize
        short = min(height, width)
        return self.resize * height // short, self.resize * width // short  # torchvision rounds down too

    def _cut(self, pixels: Pixels, top: int, left: int) -> Pixels:
        return pixels[top : top + self.crop, left : left + self.crop]

    def __str__(self) -> str:
        how = f"short side {self.resize}" if self.keep_aspect else f"stretched to {self.resize} x {self.resize}"
        part = "random crops and flips of" if self.augment else "centre of"
        return f"{how}, {part} {self.crop} x {self.crop} px"


def _tensor(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1)
