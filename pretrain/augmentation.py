"""What happens to one training image: a random crop, a flip, and where asked for a policy and colour changes.

Source: the CutMix authors' recipes (clovaai/CutMix-PyTorch, train.py and utils.py at commit 2d8eb68). ImageNet:
torchvision's RandomResizedCrop and flip, then colour jitter and PCA noise; the paper's text names only "resize, crop,
flip". CIFAR: a crop from the image padded by 4 pixels, and a flip.

All randomness comes from the sample's seed. The crop is drawn before a pixel is decoded, so that no others need be.
S: the view's side in pixels.
"""

import math
import random
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch

from core.data.pictures import Picture, Pixels
from core.errors import UserError
from core.resizing import resize
from pretrain import colour
from pretrain.colour import Colour
from pretrain.policies import Policy

_ATTEMPTS = 10  # torchvision's


class View(NamedTuple):
    """One augmented image."""

    pixels: Pixels
    """uint8 [S, S, 3], RGB."""
    colour: Colour | None
    """float32 [3, 4]: the change of colour still to be applied, see `pretrain.colour`; None: none."""


@dataclass(frozen=True)
class Augmentation(ABC):
    """What happens to one training image."""

    @abstractmethod
    def __call__(self, picture: Picture, side: int, seed: int) -> View:
        """A random view of a picture, ``side`` pixels square; ``seed`` alone decides.

        Raises:
            DataError: the image is broken; the message names it.
        """


@dataclass(frozen=True)
class RandomResizedCrop(Augmentation):
    """RandomResizedCrop and flip; ``policy``, ``jitter`` and ``lighting`` change colours and shapes."""

    min_area: float = 0.08
    """Smallest share of the image's area that a crop covers."""
    max_aspect: float = 4 / 3
    """Largest ratio of a crop's longer to its shorter side."""
    flip: float = 0.5
    """Probability of a left-right flip."""
    jitter: float = 0.0
    """Half width of the uniform strength of brightness, contrast and saturation (authors: .4)."""
    lighting: float = 0.0
    """Standard deviation of the PCA noise (authors: .1)."""
    policy: Policy | None = None
    """Operations on the flipped view: AutoAugment or RandAugment."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """How the crop is resized; antialiased where it shrinks, the very pixels of torchvision's v2 resize."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if not 0.0 < self.min_area <= 1.0 or self.max_aspect < 1.0 or not 0.0 <= self.flip <= 1.0:
            raise UserError(f"augmentation: expected 0 < min_area <= 1, max_aspect >= 1, 0 <= flip <= 1, got {self}")
        if self.jitter < 0.0 or self.lighting < 0.0:
            raise UserError(f"augmentation: jitter and lighting must not be negative, got {self}")

    def __call__(self, picture: Picture, side: int, seed: int) -> View:
        """A random view, as torchvision's RandomResizedCrop distributes them."""
        rng = random.Random(seed)
        box = self.box(picture.height, picture.width, rng)
        flipped = rng.random() < self.flip
        pixels = _finish(resize(picture.crop(*box), side, side, self.interpolation), flipped, self.policy, rng)
        if not self.jitter and not self.lighting:
            return View(pixels, None)
        return View(pixels, colour.draw(rng, pixels, self.jitter, self.lighting))

    def box(self, height: int, width: int, rng: random.Random) -> tuple[int, int, int, int]:
        """(top, left, height, width) of a crop: area uniform, aspect log-uniform, the place uniform.

        Ten attempts to fit into the image; then the largest central box of an allowed aspect.
        """
        log_aspect = math.log(self.max_aspect)
        for _ in range(_ATTEMPTS):
            area = height * width * rng.uniform(self.min_area, 1.0)
            aspect = math.exp(rng.uniform(-log_aspect, log_aspect))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                return rng.randrange(height - h + 1), rng.randrange(width - w + 1), h, w
        h = min(height, max(1, round(width * self.max_aspect)))
        w = min(width, max(1, round(height * self.max_aspect)))
        return (height - h) // 2, (width - w) // 2, h, w


@dataclass(frozen=True)
class PaddedCrop(Augmentation):
    """A window of the image's own size out of the image padded with black, and a flip: CIFAR's augmentation.

    At ``side`` equal to the image's side nothing is resized, and it is torchvision's RandomCrop(side, padding).
    """

    padding: int = 4
    """Pixels added on each side."""
    flip: float = 0.5
    """Probability of a left-right flip."""
    policy: Policy | None = None
    """Operations on the flipped view: AutoAugment or RandAugment."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.padding < 0 or not 0.0 <= self.flip <= 1.0:
            raise UserError(f"augmentation: expected padding >= 0 and 0 <= flip <= 1, got {self}")

    def __call__(self, picture: Picture, side: int, seed: int) -> View:
        """A random view. UserError: the picture is not square."""
        if picture.height != picture.width:
            raise UserError(
                f"PaddedCrop takes square images, as CIFAR's and Tiny-ImageNet's are; this one has {picture.width} x "
                f"{picture.height} pixels (width x height); RandomResizedCrop takes any"
            )
        rng = random.Random(seed)
        down, right = rng.randint(-self.padding, self.padding), rng.randint(-self.padding, self.padding)
        flipped = rng.random() < self.flip
        pixels = _finish(resize(shifted(picture, down, right), side, side), flipped, self.policy, rng)
        return View(pixels, None)


def shifted(picture: Picture, down: int, right: int) -> Pixels:
    """The window of a picture's size that begins ``down`` rows and ``right`` columns off its corner; black outside."""
    height, width = picture.height, picture.width
    rows, columns = max(0, height - abs(down)), max(0, width - abs(right))
    window = np.zeros((height, width, 3), np.uint8)
    if rows and columns:
        top, left = max(0, -down), max(0, -right)
        seen = picture.crop(max(0, down), max(0, right), rows, columns)
        window[top : top + rows, left : left + columns] = seen
    return window


def _finish(pixels: Pixels, flipped: bool, policy: Policy | None, rng: random.Random) -> Pixels:
    if flipped:
        pixels = torch.from_numpy(pixels).flip(1).numpy()  # numpy's own reversed copy takes 30 times as long
    return pixels if policy is None else policy(pixels, rng.getrandbits(63))
