"""Hide-and-Seek (HaS): cells of a grid are hidden at random, in each image anew; its label stays.

Source: Singh & Lee, "Hide-and-Seek: Forcing a Network to be Meticulous for Weakly-supervised Object and Action
Localization", ICCV 2017, arXiv 1704.04232, sec. 3.1: an image is divided into a grid of S x S pixels, each cell hidden
with probability .5 in training, never in a test; what is hidden gets the training set's mean colour, which keeps the
first layer's expected output. After normalisation that mean is zero.

The paper counts a cell in pixels of images of 224 (16, 32, 44 or 56); wsolevaluation's `wsol/method/has.py` does too.
Here it is the number of cells to a side, which stays right where training starts on smaller images and at a layer's
output: 4 for 56 pixels of 224, 7 for 32, 14 for 16. Where H or W is no multiple of it, cells differ by one pixel, where
wsolevaluation cuts the last ones short. The paper's HaS-mixed (another cell size for each image) is not here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from core.errors import UserError
from pretrain.mixing.base import Draw, Mixing, Pick


@dataclass(frozen=True)
class HaS(Mixing):
    """Zero each cell of a grid with a probability."""

    grid: int = 4
    """Cells to a side of the image (4: cells of 56 x 56 pixels of 224 x 224)."""
    drop_rate: float = 0.5
    """Probability that a cell is hidden."""
    takes_uint8: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.grid < 1:
            raise UserError(f"mixing.grid must be at least 1 cell to a side, got {self.grid}")
        if not 0.0 <= self.drop_rate <= 1.0:
            raise UserError(f"mixing.drop_rate must lie in [0, 1], got {self.drop_rate}")

    def draw(self, shape: Sequence[int], generator: torch.Generator, progress: float = 0.0) -> Draw:
        """Draw the hidden cells of each image."""
        del progress
        return Draw(cells=torch.rand(shape[0], self.grid, self.grid, generator=generator) < self.drop_rate)

    def mix(self, x: Tensor, draw: Draw, pick: Pick) -> Tensor:
        """Zero the hidden cells in a copy of ``x`` [N, C, H, W]."""
        return self.mix_(x.clone(), draw, pick)  # clone keeps channels-last, masked_fill would not

    def mix_(self, x: Tensor, draw: Draw, pick: Pick) -> Tensor:
        """Zero the hidden cells in ``x`` [N, C, H, W]."""
        del pick
        assert draw.cells is not None
        cells = draw.cells.to(x.device, non_blocking=True)  # [N, G, G]
        rows, columns = (torch.arange(side, device=x.device) * self.grid // side for side in x.shape[-2:])
        # Columns first, while there are G rows; then the mask lies in memory as the images do: that is what takes time.
        across = cells.index_select(2, columns)[..., None].expand(-1, -1, -1, x.shape[1])  # [N, G, W, C]
        if x.stride(1) == 1:
            return x.masked_fill_(across.index_select(1, rows).permute(0, 3, 1, 2), 0.0)
        return x.masked_fill_(across[..., 0].index_select(1, rows)[:, None], 0.0)
