"""Several mixings in turn, each applied to what the one before made, images and labels alike.

Source: the combinations of Yun et al., "CutMix", arXiv 1905.04899v2, Table 5 (Cutout + Mixup, Cutout + Manifold Mixup).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from core.errors import UserError
from core.peers import take
from core.targets import Targets
from pretrain.mixing.base import Draw, Mixing, Pick, Placed, Shapes
from pretrain.mixing.cutout import Cutout
from pretrain.mixing.mixup import Mixup


def _cutout_mixup() -> tuple[Mixing, ...]:
    return (Cutout(), Mixup())


@dataclass(frozen=True)
class Chain(Mixing):
    """One mixing after another; what is placed at a layer comes after what is placed before it in the network."""

    mixings: tuple[Mixing, ...] = field(default_factory=_cutout_mixup)
    """The mixings, in the order in which they are applied at one site."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if not self.mixings:
            raise UserError("mixing.mixings: expected at least one mixing, got none (for no mixing use NoMixing)")

    @property
    def takes_uint8(self) -> bool:  # type: ignore[override]  # as its mixings do
        """Whether all of them do."""
        return all(mixing.takes_uint8 for mixing in self.mixings)

    def draw(self, shape: Sequence[int], generator: torch.Generator, progress: float = 0.0) -> Draw:
        """Draw for each in turn."""
        return Draw(parts=tuple(mixing.draw(shape, generator, progress) for mixing in self.mixings))

    def mix(self, x: Tensor, draw: Draw, pick: Pick) -> Tensor:
        """Apply each in turn."""
        for mixing, part in zip(self.mixings, draw.parts, strict=True):
            x = mixing.apply(x, part, pick)
        return x

    def targets(self, own: Targets, draw: Draw, pick: Pick = take) -> Targets:
        """Mix the labels in turn."""
        for mixing, part in zip(self.mixings, draw.parts, strict=True):
            own = mixing.targets(own, part, pick)
        return own

    def place(self, shapes: Shapes, generator: torch.Generator, progress: float = 0.0) -> tuple[Placed, ...]:
        """Place each in turn."""
        return tuple(one for mixing in self.mixings for one in mixing.place(shapes, generator, progress))

    def layers(self) -> tuple[str, ...]:
        """The modules of all of them."""
        return tuple(dict.fromkeys(site for mixing in self.mixings for site in mixing.layers()))
