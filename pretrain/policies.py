"""Learned and random policies of image operations: AutoAugment and RandAugment, by torchvision.

They act on the cropped and flipped view, before normalisation, as in the policies' own papers. What they do to a view
is a function of the sample's seed alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from core.data.pictures import Pixels
from core.errors import UserError

_Transform = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Policy(ABC):
    """A family of image operations, some of which are drawn for each view."""

    fill: int = 128
    """Grey level, 0 to 255, of what a rotation, shear or translation uncovers (128 in the policies' own code)."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if not 0 <= self.fill <= 255:
            raise UserError(f"{type(self).__name__}: expected 0 <= fill <= 255, got {self.fill}")

    @abstractmethod
    def build(self) -> _Transform:
        """The transform of RGB images; it draws from torch's global generator."""

    def __call__(self, pixels: Pixels, seed: int) -> Pixels:
        """The view [S, S, 3] after the operations that ``seed`` draws. torch's global generator is left as it was."""
        state = torch.default_generator.get_state()
        torch.default_generator.manual_seed(seed)
        try:
            return np.asarray(_built(self)(Image.fromarray(pixels)))
        finally:
            torch.default_generator.set_state(state)


@dataclass(frozen=True)
class AutoAugment(Policy):
    """AutoAugment (Cubuk et al., arXiv 1805.09501): one of 25 learned pairs of operations, drawn for each view."""

    learned_on: Literal["imagenet", "cifar10", "svhn"] = "imagenet"
    """The data set whose policy it is."""

    def build(self) -> _Transform:
        """torchvision's AutoAugment."""
        transform: _Transform = v2.AutoAugment(v2.AutoAugmentPolicy(self.learned_on), fill=self.fill)
        return transform


@dataclass(frozen=True)
class RandAugment(Policy):
    """RandAugment (Cubuk et al., arXiv 1909.13719): ``operations`` of 14 in a row, all of one ``magnitude``."""

    operations: int = 2
    """How many, each drawn with equal probability."""
    magnitude: int = 9
    """Their strength, 0 to 30."""

    def __post_init__(self) -> None:
        """Check the fields."""
        super().__post_init__()
        if self.operations < 0 or not 0 <= self.magnitude <= 30:
            raise UserError(f"RandAugment: expected operations >= 0 and 0 <= magnitude <= 30, got {self}")

    def build(self) -> _Transform:
        """torchvision's RandAugment."""
        transform: _Transform = v2.RandAugment(self.operations, self.magnitude, fill=self.fill)
        return transform


@lru_cache
def _built(policy: Policy) -> _Transform:
    return policy.build()
