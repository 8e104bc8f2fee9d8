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
from torch import Tensor

from pretrain.mixing.base import Draw, Mixing, centred_box, check_alpha, check_probability, draw_applies, draw_beta


@dataclass(frozen=True)
class CutMix(Mixing):
    """Paste one box of the shuffled batch; lambda is the share of the pixels that stayed."""

    alpha: float = 1.0
    """Parameter of the Beta distribution that the area is drawn from; 1 is uniform."""
    probability: float = 1.0
    """Share of the batches that are mixed (the authors: 1 on ImageNet, .5 on CIFAR-100)."""

    def __post_init__(self) -> None:
        """Check the fields."""
        check_alpha(self.alpha)
        check_probability(self.probability)

    def draw(self, shape: Sequence[int], generator: torch.Generator) -> Draw:
        """Draw the area, the partners and the box."""
        if not draw_applies(self.probability, generator):
            return Draw()
        images, _, height, width = shape
        side = math.sqrt(1.0 - draw_beta(self.alpha, generator))  # share of each side, so that the area is 1 - lambda
        partner = torch.randperm(images, generator=generator)
        box = centred_box(shape, int(height * side), int(width * side), generator)
        y0, x0, y1, x1 = box
        return Draw(partner, 1.0 - (y1 - y0) * (x1 - x0) / (height * width), (box,))

    def mix(self, x: Tensor, draw: Draw) -> Tensor:
        """Paste the partners' box into a copy of ``x`` [N, C, H, W]."""
        assert draw.partner is not None
        ((y0, x0, y1, x1),) = draw.boxes
        mixed = x.clone()
        mixed[:, :, y0:y1, x0:x1] = x[:, :, y0:y1, x0:x1][draw.partner.to(x.device)]
        return mixed
