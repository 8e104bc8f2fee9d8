"""A mixing at a random depth: of each batch, the images or one layer's output are mixed.

Sources: with Mixup this is Manifold Mixup, Verma et al., "Manifold Mixup", ICML 2019, arXiv 1806.05236, sec. 2; with
CutMix it is Feature CutMix, Yun et al., "CutMix", arXiv 1905.04899v2, sec. 4.1. Both draw one depth per mini-batch,
uniformly, and mix the labels as at the input.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from core.errors import UserError
from core.mixing import INPUT
from core.peers import take
from core.targets import Targets
from pretrain.mixing.base import Draw, Mixing, Pick, Placed, Shapes
from pretrain.mixing.mixup import Mixup


@dataclass(frozen=True)
class AtLayers(Mixing):
    """One of the sites for each batch, all as probable."""

    mixing: Mixing = field(default_factory=Mixup)
    """What is applied there."""
    sites: tuple[str, ...] = (INPUT, "layer1", "layer2")
    """"input", or the dotted names of modules whose outputs [N, C, H, W] are mixed."""
    takes_uint8: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the fields."""
        if not self.sites or len(set(self.sites)) != len(self.sites) or not all(self.sites):
            raise UserError(f'mixing.sites: expected names, each once, such as "input" or "layer1", got {self.sites}')
        if self.mixing.layers():
            raise UserError(f"mixing.mixing: {type(self.mixing).__name__} has sites of its own")

    def draw(self, shape: Sequence[int], generator: torch.Generator, progress: float = 0.0) -> Draw:
        """Draw for one site, whose shape this is."""
        return self.mixing.draw(shape, generator, progress)

    def mix(self, x: Tensor, draw: Draw, pick: Pick) -> Tensor:
        """Mix what is at the site."""
        return self.mixing.mix(x, draw, pick)

    def targets(self, own: Targets, draw: Draw, pick: Pick = take) -> Targets:
        """The mixing's own."""
        return self.mixing.targets(own, draw, pick)

    def place(self, shapes: Shapes, generator: torch.Generator, progress: float = 0.0) -> tuple[Placed, ...]:
        """Draw the site, then for its shape."""
        site = self.sites[int(torch.randint(len(self.sites), (1,), generator=generator))]
        return (Placed(site, self.mixing, self.mixing.draw(shapes(site), generator, progress)),)

    def layers(self) -> tuple[str, ...]:
        """All sites but the input."""
        return tuple(site for site in self.sites if site != INPUT)
