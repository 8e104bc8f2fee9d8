"""The seam of every image-mixing method: draw once, apply anywhere, mix the labels the same way.

[N, C, H, W]: images, channels, height, width. Randomness is drawn in ``draw`` alone, from an explicit CPU generator,
for a *shape*: ``apply`` then works on any tensor of that shape, so a method can be used on the input or on a layer's
output (there the shape is the layer's). ``place`` says where: most methods at the input, some at layers, some at
several places. The methods live in `pretrain/mixing/`, one short file each; the seam is here because fine-tuning mixes
too (`transfer/tasks/classification.py`), and a config hands it the method.

Where several processes share a step, N is the global batch's; each process applies its own images' part of the same
draw (``Draw.of_rank``), and ``pick`` fetches the partners' rows from wherever they are (`core/peers.py`).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from core.peers import Pick, take
from core.targets import Targets

Box = tuple[int, int, int, int]
"""y0, x0, y1, x1 in pixels, half-open."""
Shapes = Callable[[str], Sequence[int]]
"""A site's name -> [N, C, H, W] of the global batch there."""
INPUT = "input"
"""The site of the images themselves; any other is the dotted name of a module, whose output is mixed."""


@dataclass(frozen=True)
class Draw:
    """One batch's randomness. The default changes nothing."""

    partner: Tensor | None = None
    """[N] int64 permutation: image i is mixed with image ``partner[i]`` of the same batch; None: with none."""
    lam: float = 1.0
    """The share of an image that is its own, in [0, 1]: of its pixels where they move, of their values elsewhere."""
    box: Box | None = None
    """One box for the whole batch; None: none."""
    boxes: tuple[Box, ...] = ()
    """One box for each image; empty: none."""
    cells: Tensor | None = None
    """[N, G, G] bool: the cells of a grid over each image that are changed; None: no grid."""
    parts: tuple["Draw", ...] = ()
    """The draws of mixings that are applied in turn; empty: this is one draw."""

    @property
    def changes_nothing(self) -> bool:
        """Whether images and labels stay as they are."""
        alone = self.partner is None and self.box is None and not self.boxes and self.cells is None
        return alone and all(part.changes_nothing for part in self.parts)

    def of_rank(self, rank: int, ranks: int) -> "Draw":
        """The draw with the images' own parts cut to those that rank `rank` of `ranks` holds; `partner` stays whole."""
        if ranks == 1:
            return self
        return replace(
            self,
            boxes=self.boxes[rank::ranks],
            cells=None if self.cells is None else self.cells[rank::ranks],
            parts=tuple(part.of_rank(rank, ranks) for part in self.parts),
        )


@dataclass(frozen=True)
class Blend:
    """A draw that can be worked into the normalisation's one pass: inside a box, two images are added.

    There ``lam * x + (1 - lam) * x[partner]``, elsewhere ``x``.
    """

    partner: Tensor
    """[N] int64."""
    lam: float
    """The weight of an image's own pixels inside the box, in [0, 1]."""
    box: Box | None
    """Where; None: everywhere."""


@dataclass(frozen=True)
class Placed:
    """A mixing's draw, and where it is applied."""

    site: str
    """`INPUT` or a module's dotted name."""
    mixing: "Mixing"
    """What is applied."""
    draw: Draw
    """Its randomness, for the site's shape."""


@dataclass(frozen=True)
class Mixing(ABC):
    """A way of changing a batch and its labels together."""

    takes_uint8: ClassVar[bool] = True
    """Whether ``apply`` gives on uint8 pixels what it gives after normalisation (pixels moved, none computed)."""

    @abstractmethod
    def draw(self, shape: Sequence[int], generator: torch.Generator, progress: float = 0.0) -> Draw:
        """Draw what happens to a batch; the same generator state gives the same draw.

        Args:
            shape: [N, C, H, W] of the global batch.
            generator: a CPU generator, the only source of randomness.
            progress: the share of the training that is done, in [0, 1); few methods heed it.
        """

    @abstractmethod
    def mix(self, x: Tensor, draw: Draw, pick: Pick) -> Tensor:
        """Return ``x`` [N, C, H, W] mixed as drawn, in a new tensor of the same type and memory format.

        ``pick(rows, draw.partner)`` gives the partners' rows of any part of ``x``: `rows[partner]` in one process.
        The gradient flows through; ``x`` is not written to.
        """

    def mix_(self, x: Tensor, draw: Draw, pick: Pick) -> Tensor:
        """As `mix`, but free to write into ``x``, which the caller gives up (no gradient flows to it)."""
        return self.mix(x, draw, pick)

    def apply(self, x: Tensor, draw: Draw, pick: Pick = take) -> Tensor:
        """Return ``x`` [N, C, H, W] mixed as drawn; ``x`` itself is never written to.

        Where the draw changes nothing, ``x`` is returned as it is. ValueError: uint8 for a method that computes pixels.
        """
        if not x.is_floating_point() and not self.takes_uint8:
            raise ValueError(f"{type(self).__name__} needs normalised floating-point images, got {x.dtype}")
        return x if draw.changes_nothing else self.mix(x, draw, pick)

    def targets(self, own: Targets, draw: Draw, pick: Pick = take) -> Targets:
        """Return the mixed batch's targets from those before: `label_weight` of an image's own, the rest its partner's.

        ``pick`` as in `mix`.
        """
        partner = draw.partner
        return own if partner is None else own.mixed(self.label_weight(draw), lambda labels: pick(labels, partner))

    def label_weight(self, draw: Draw) -> float:
        """The weight of an image's own label, in [0, 1]: ``draw.lam``, unless a method says otherwise."""
        return draw.lam

    def blend(self, draw: Draw) -> Blend | None:
        """The draw as something that normalising can do on the way, where it can be said so; None: it cannot."""
        del draw
        return None

    def place(self, shapes: Shapes, generator: torch.Generator, progress: float = 0.0) -> tuple[Placed, ...]:
        """Draw for a batch, and say where: at the input, unless a method says otherwise. Arguments as in `draw`."""
        return (Placed(INPUT, self, self.draw(shapes(INPUT), generator, progress)),)

    def layers(self) -> tuple[str, ...]:
        """The modules at whose outputs it may be placed: none, unless a method says otherwise."""
        return ()


def mixed_targets(labels: Tensor, placed: Sequence[Placed], pick: Pick = take) -> Targets:
    """The targets of images with ``labels`` [N] after all that was placed, in the order in which it is applied."""
    targets = Targets.of(labels)
    for one in placed:
        targets = one.mixing.targets(targets, one.draw, pick)
    return targets
