"""The seam of every image-mixing method: draw once, apply anywhere, mix the labels the same way.

[N, C, H, W]: images, channels, height, width. Randomness is drawn in ``draw`` alone, from an explicit CPU generator,
for a *shape*: ``apply`` then works on any tensor of that shape, so a method can be used on the input or on a layer's
output (there the shape is the layer's). A new method is one file here: a frozen dataclass whose fields all have
defaults.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from core.errors import UserError
from pretrain.targets import Targets

Box = tuple[int, int, int, int]
"""y0, x0, y1, x1 in pixels, half-open."""


@dataclass(frozen=True)
class Draw:
    """One batch's randomness. The default changes nothing."""

    partner: Tensor | None = None
    """[N] int64 permutation: image i is mixed with image ``partner[i]`` of the same batch; None: with none."""
    lam: float = 1.0
    """The weight of an image's own label, in [0, 1]."""
    boxes: tuple[Box, ...] = ()
    """One box for the whole batch, or one for each image; empty: none."""

    @property
    def changes_nothing(self) -> bool:
        """Whether images and labels stay as they are."""
        return self.partner is None and not self.boxes


@dataclass(frozen=True)
class Mixing(ABC):
    """A way of changing a batch and its labels together."""

    takes_uint8: ClassVar[bool] = True
    """Whether ``apply`` gives on uint8 pixels what it gives after normalisation (pixels moved, none computed)."""

    @abstractmethod
    def draw(self, shape: Sequence[int], generator: torch.Generator) -> Draw:
        """Draw what happens to a batch of ``shape`` [N, C, H, W]; the same generator state gives the same draw."""

    @abstractmethod
    def mix(self, x: Tensor, draw: Draw) -> Tensor:
        """Return ``x`` [N, C, H, W] mixed as drawn, in a new tensor of the same type and memory format."""

    def apply(self, x: Tensor, draw: Draw) -> Tensor:
        """Return ``x`` [N, C, H, W] mixed as drawn; ``x`` itself is never written to.

        Where the draw changes nothing, ``x`` is returned as it is. ValueError: uint8 for a method that computes pixels.
        """
        if not x.is_floating_point() and not self.takes_uint8:
            raise ValueError(f"{type(self).__name__} needs normalised floating-point images, got {x.dtype}")
        return x if draw.changes_nothing else self.mix(x, draw)

    def targets(self, labels: Tensor, draw: Draw) -> Targets:
        """Return the mixed batch's targets from its ``labels`` [N] int64."""
        if draw.partner is None:
            return Targets(labels, labels, 1.0)
        return Targets(labels, labels[draw.partner.to(labels.device)], draw.lam)


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
    rows, columns = shape[-2], shape[-1]
    y = int(torch.randint(rows, (1,), generator=generator))
    x = int(torch.randint(columns, (1,), generator=generator))
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
