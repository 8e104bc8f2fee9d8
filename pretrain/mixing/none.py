"""No mixing: the baseline row."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pretrain.mixing.base import Draw, Mixing


@dataclass(frozen=True)
class NoMixing(Mixing):
    """Images and labels as they are."""

    def draw(self, shape: Sequence[int], generator: torch.Generator) -> Draw:
        """Draw nothing."""
        del shape, generator
        return Draw()

    def mix(self, x: Tensor, draw: Draw) -> Tensor:
        """Return ``x``."""
        del draw
        return x
