"""What mixing methods are made of: the seam itself (`core/mixing.py`), shared draws, shared checks of their fields.

A new method is one file beside this one: a frozen dataclass below ``Mixing`` whose fields all have defaults.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from core.mixing import Blend, Box, Draw, Mixing, Placed, Shapes
from core.peers import Pick

__all__ = [
    "Blend",
    "Box",
    "BoxMixing",
    "Draw",
    "Mixing",
    "Pick",
    "Placed",
    "Shapes",
    "centred_box",
    "centred_boxes",
    "check_alpha",
    "check_probability",
    "clipped_box",
    "draw_applies",
    "draw_beta",
]


@dataclass(frozen=True)
class BoxMixing(Mixing):
    """Paste one box of the shuffled batch; lambda is the share of the pixels that stayed.

    A method says how large the box is (`box_sides`), and may say where it is (`box_around`) and when (`applies`).
    """

    @abstractmethod
    def box_sides(self, shape: Sequence[int], generator: torch.Generator) -> tuple[int, int]:
        """The box's height and width in pixels before it is clipped, for images of ``shape`` [N, C, H, W]."""

    def box_around(self, shape: Sequence[int], height: int, width: int, generator: torch.Generator) -> Box:
        """The box, clipped to the image: its centre uniform over the pixels, unless a method says otherwise."""
        return centred_box(shape, height, width, generator)

    def applies(self, generator: torch.Generator, progress: float) -> bool:
        """Whether this batch is mixed."""
        del generator, progress
        return True

    def draw(self, shape: Sequence[int], generator: torch.Generator, progress: float = 0.0) -> Draw:
        """Draw whether, then the size, the partners and the box."""
        if not self.applies(generator, progress):
            return Draw()
        height, width = self.box_sides(shape, generator)
        partner = torch.randperm(shape[0], generator=generator)
        y0, x0, y1, x1 = box = self.box_around(shape, height, width, generator)
        return Draw(partner, 1.0 - (y1 - y0) * (x1 - x0) / (shape[-2] * shape[-1]), box)

    def mix(self, x: Tensor, draw: Draw, pick: Pick) -> Tensor:
        """Paste the partners' box into a copy of ``x`` [N, C, H, W]."""
        return self.mix_(x.clone(), draw, pick)

    def mix_(self, x: Tensor, draw: Draw, pick: Pick) -> Tensor:
        """Paste the partners' box into ``x`` [N, C, H, W]; only the box's pixels move."""
        assert draw.partner is not None
        assert draw.box is not None
        y0, x0, y1, x1 = draw.box
        region = x[:, :, y0:y1, x0:x1]
        if region.numel():  # the box of a large lambda has no pixels
            region.copy_(pick(region, draw.partner))
        return x

    def blend(self, draw: Draw) -> Blend | None:
        """Nothing of one's own inside the box."""
        return None if draw.partner is None else Blend(draw.partner, 0.0, draw.box)


def draw_beta(alpha: float, generator: torch.Generator) -> float:
    """Draw from Beta(alpha, alpha).

    torch's public Beta takes no generator, so one integer of the torch generator seeds a NumPy one, whose
    sampler is also right where alpha is small (below about .1 a ratio of two gammas turns into 0/0).
    """
    seed = int(torch.randint(2**63 - 1, (1,), generator=generator))
    return float(np.random.default_rng(seed).beta(alpha, alpha))


def draw_applies(probability: float, generator: torch.Generator) -> bool:
    """Draw whether the method is applied to this batch."""
    return float(torch.rand((), generator=generator)) < probability


def centred_box(shape: Sequence[int], height: int, width: int, generator: torch.Generator) -> Box:
    """Draw a centre uniformly among the pixels of ``shape`` [..., H, W]; return the box around it, clipped.

    The box reaches ``height // 2`` and ``width // 2`` pixels to each side, so an odd size loses one pixel, as in
    the published code of both Cutout and CutMix.
    """
    y = int(torch.randint(shape[-2], (1,), generator=generator))
    x = int(torch.randint(shape[-1], (1,), generator=generator))
    return clipped_box(shape, y, x, height, width)


def centred_boxes(shape: Sequence[int], height: int, width: int, generator: torch.Generator) -> tuple[Box, ...]:
    """Draw a box as `centred_box` does for each image of ``shape`` [N, ..., H, W], one after another.

    Of square images all centres are drawn by one call, from the same numbers.
    """
    if shape[-2] != shape[-1]:
        return tuple(centred_box(shape, height, width, generator) for _ in range(shape[0]))
    centres = torch.randint(shape[-1], (shape[0], 2), generator=generator).tolist()
    return tuple(clipped_box(shape, y, x, height, width) for y, x in centres)


def clipped_box(shape: Sequence[int], y: int, x: int, height: int, width: int) -> Box:
    """Return the box around the pixel (y, x) of ``shape`` [..., H, W], clipped to it; sides as in `centred_box`."""
    rows, columns = shape[-2], shape[-1]
    half_height, half_width = height // 2, width // 2
    return (
        max(y - half_height, 0),
        max(x - half_width, 0),
        min(y + half_height, rows),
        min(x + half_width, columns),
    )


def check_probability(value: float) -> None:
    """Raise UserError unless ``value`` is a probability."""
    if not 0.0 <= value <= 1.0:
        raise UserError(f"mixing.probability must lie in [0, 1], got {value}")


def check_alpha(value: float) -> None:
    """Raise UserError unless ``value`` can be a Beta distribution's parameter."""
    if not (value > 0.0 and np.isfinite(value)):
        raise UserError(f"mixing.alpha must be a positive number, got {value} (for no mixing use NoMixing)")
