"""The seam of every image-mixing method: draw once, apply anywhere, mix the labels the same way.

[N, C, H, W]: images, channels, height, width. Randomness is drawn in ``draw`` alone, from an explicit CPU generator,
for a *shape*: ``apply`` then works on any tensor of that shape, so a method can be used on the input or on a layer's
output (there the shape is the layer's). The methods live in `pretrain/mixing/`, one short file each; the seam is here
because fine-tuning mixes too (`transfer/tasks/classification.py`), and a config hands it the method.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from core.targets import Targets

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
    cells: Tensor | None = None
    """[N, G, G] bool: the cells of a grid over each image that are changed; None: no grid."""

    @property
    def changes_nothing(self) -> bool:
        """Whether images and labels stay as they are."""
        return self.partner is None and not self.boxes and self.cells is None


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
