"""No mixing: the baseline row."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pretrain.mixing.base import Draw, Mixing, Pick


@dataclass(frozen=True)
class NoMixing(Mixing):
    """Images and labels as they are."""

    def draw(self, shape: Sequence[int], generator: torch.Generator, progress: float = 0.0) -> Draw:
        """Draw nothing."""
        del shape, generator, progress
        return Draw()

    def mix(self, x: Tensor, draw: Draw, pick: Pick) -> Tensor:
        """Return ``x``."""
        del draw, pick
        return x
