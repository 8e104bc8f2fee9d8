"""Mixup: a batch and its shuffled self, blended pixel by pixel.

Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", arXiv 1710.09412; one lambda for the batch, as its
published code does. The CutMix paper's rows use alpha 1 (of .5 and 1 tried).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pretrain.mixing.base import Blend, Draw, Mixing, Pick, check_alpha, check_probability, draw_applies, draw_beta


@dataclass(frozen=True)
class Mixup(Mixing):
    """``lam * x + (1 - lam) * x[partner]`` with lam from Beta(alpha, alpha)."""

    alpha: float = 1.0
    """Parameter of the Beta distribution; 1 is uniform."""
    probability: float = 1.0
    """Share of the batches that are mixed."""
    takes_uint8: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the fields."""
        check_alpha(self.alpha)
        check_probability(self.probability)

    def draw(self, shape: Sequence[int], generator: torch.Generator, progress: float = 0.0) -> Draw:
        """Draw lambda and the partners."""
        del progress
        if not draw_applies(self.probability, generator):
            return Draw()
        lam = draw_beta(self.alpha, generator)
        return Draw(torch.randperm(shape[0], generator=generator), lam)

    def mix(self, x: Tensor, draw: Draw, pick: Pick) -> Tensor:
        """Blend ``x`` [N, C, H, W] with its partners."""
        assert draw.partner is not None
        return torch.lerp(x, pick(x, draw.partner), 1.0 - draw.lam)

    def mix_(self, x: Tensor, draw: Draw, pick: Pick) -> Tensor:
        """Blend ``x`` [N, C, H, W] with its partners in place."""
        assert draw.partner is not None
        return x.lerp_(pick(x, draw.partner), 1.0 - draw.lam)

    def blend(self, draw: Draw) -> Blend | None:
        """Lambda of one's own everywhere."""
        return None if draw.partner is None else Blend(draw.partner, draw.lam, None)
