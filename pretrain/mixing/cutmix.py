"""CutMix: a box of each image is replaced by the same box of its partner; labels by the area.

Source: Yun et al., "CutMix", ICCV 2019, arXiv 1905.04899v2, sec. 3.1 and Algorithm A1, and the authors' code
(clovaai/CutMix-PyTorch, train.py at commit 2d8eb68): one lambda and one box for the batch, sizes truncated to
integers, the centre uniform over the pixels, the box clipped to the image, lambda recomputed from what is left of it.
So the mean pasted area is about 32 % of the image, not 50 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from pretrain.mixing.base import BoxMixing, check_alpha, check_probability, draw_applies, draw_beta


@dataclass(frozen=True)
class CutMix(BoxMixing):
    """Paste one box of the shuffled batch; lambda is the share of the pixels that stayed."""

    alpha: float = 1.0
    """Parameter of the Beta distribution that the area is drawn from; 1 is uniform."""
    probability: float = 1.0
    """Share of the batches that are mixed (the authors: 1 on ImageNet, .5 on CIFAR-100)."""

    def __post_init__(self) -> None:
        """Check the fields."""
        check_alpha(self.alpha)
        check_probability(self.probability)

    def applies(self, generator: torch.Generator, progress: float) -> bool:
        """Draw whether this batch is mixed."""
        del progress
        return draw_applies(self.probability, generator)

    def box_sides(self, shape: Sequence[int], generator: torch.Generator) -> tuple[int, int]:
        """Draw the area; each side has the square root of its share of the image."""
        side = math.sqrt(1.0 - draw_beta(self.alpha, generator))
        return int(shape[-2] * side), int(shape[-1] * side)
