"""Fixed-size CutMix: every box is as large; only where it lies is drawn.

Source: Yun et al., "CutMix", arXiv 1905.04899v2, sec. 4.1, ablation (Table 8: 14.97 % on CIFAR-100, CutMix 14.47 %):
16 x 16 of 32 pixels. Lambda is .75 where the box lies inside the image and is recomputed where it is clipped, as for
CutMix itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from core.errors import UserError
from pretrain.mixing.base import BoxMixing, check_probability, draw_applies


@dataclass(frozen=True)
class FixedSizeCutMix(BoxMixing):
    """CutMix with a box of one size."""

    share: float = 0.5
    """The box's sides as a share of the image's (16 of 32 pixels)."""
    probability: float = 1.0
    """Share of the batches that are mixed."""

    def __post_init__(self) -> None:
        """Check the fields."""
        check_probability(self.probability)
        if not 0.0 < self.share <= 1.0:
            raise UserError(f"mixing.share must lie in (0, 1], got {self.share}")

    def applies(self, generator: torch.Generator, progress: float) -> bool:
        """Draw whether this batch is mixed."""
        del progress
        return draw_applies(self.probability, generator)

    def box_sides(self, shape: Sequence[int], generator: torch.Generator) -> tuple[int, int]:
        """The share of each side."""
        del generator
        return int(shape[-2] * self.share), int(shape[-1] * self.share)
