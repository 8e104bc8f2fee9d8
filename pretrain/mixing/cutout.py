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
from pretrain.mixing.base import Box, Draw, Mixing, Pick, centred_boxes, check_probability, draw_applies


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

    def draw(self, shape: Sequence[int], generator: torch.Generator, progress: float = 0.0) -> Draw:
        """Draw a square for each image."""
        del progress
        if not draw_applies(self.probability, generator):
            return Draw()
        size = int(self.share * min(shape[-2:]))
        return Draw(boxes=centred_boxes(shape, size, size, generator))

    def mix(self, x: Tensor, draw: Draw, pick: Pick) -> Tensor:
        """Zero each image's square in a copy of ``x`` [N, C, H, W]."""
        return self.mix_(x.clone(), draw, pick)

    def mix_(self, x: Tensor, draw: Draw, pick: Pick) -> Tensor:
        """Zero each image's square in ``x`` [N, C, H, W]."""
        del pick
        if x.device.type == "cpu":
            for i, (y0, x0, y1, x1) in enumerate(draw.boxes):
                x[i, :, y0:y1, x0:x1] = 0
            return x
        return x.masked_fill_(_inside(draw.boxes, x), 0.0)  # a few launches instead of one for each image


def _inside(boxes: tuple[Box, ...], x: Tensor) -> Tensor:
    """[N, 1, H, W] bool on the device of ``x``: whether a pixel lies in its image's box."""
    y0, x0, y1, x1 = torch.tensor(boxes).to(x.device, non_blocking=True).T[:, :, None]  # each [N, 1]
    rows, columns = (torch.arange(side, device=x.device) for side in x.shape[-2:])
    inside_rows, inside_columns = (rows >= y0) & (rows < y1), (columns >= x0) & (columns < x1)
    inside: Tensor = inside_rows[:, :, None] & inside_columns[:, None, :]  # [N, H, W]
    return inside[:, None]
