"""Cutout: a square of each image is set to zero; its label stays.

Source: DeVries & Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", arXiv 1708.04552, and
its published code: a centre for every image (not one for the batch), uniform over its pixels, the square clipped to the
image, zeros after normalisation (the mean colour). The CutMix paper uses 112 pixels at 224 and 16 at 32, half the side
both times; a share of the side, not pixels, stays right where training starts on smaller images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from core.errors import UserError
from pretrain.mixing.base import Draw, Mixing, centred_box, check_probability, draw_applies


@dataclass(frozen=True)
class Cutout(Mixing):
    """Zero one square per image."""

    share: float = 0.5
    """The square's side as a share of the image's shorter side (112 of 224 pixels, 16 of 32)."""
    probability: float = 1.0
    """Share of the batches that are cut."""
    takes_uint8: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the fields."""
        check_probability(self.probability)
        if not 0.0 < self.share <= 1.0:
            raise UserError(f"mixing.share must lie in (0, 1], got {self.share}")

    def draw(self, shape: Sequence[int], generator: torch.Generator) -> Draw:
        """Draw a square for each image."""
        if not draw_applies(self.probability, generator):
            return Draw()
        size = int(self.share * min(shape[-2:]))
        return Draw(boxes=tuple(centred_box(shape, size, size, generator) for _ in range(shape[0])))

    def mix(self, x: Tensor, draw: Draw) -> Tensor:
        """Zero each image's square in a copy of ``x`` [N, C, H, W]."""
        cut = x.clone()
        for i, (y0, x0, y1, x1) in enumerate(draw.boxes):
            cut[i, :, y0:y1, x0:x1] = 0
        return cut
