"""A method that draws more than `Draw` holds, as CONTRIBUTING.md tells: by itself, in a chain, and over ranks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from core.mixing import Draw, Mixing
from core.peers import Pick, take
from pretrain.mixing.chain import Chain
from pretrain.mixing.cutout import Cutout

SHAPE = (6, 3, 8, 8)


@dataclass(frozen=True)
class OneMask(Draw):
    """One mask for the batch."""

    mask: Tensor | None = None
    """[H, W] bool: what stays."""


@dataclass(frozen=True)
class FMixLike(Mixing):
    """Where the mask is not, the partner's pixels."""

    def draw(self, shape: Sequence[int], generator: torch.Generator, progress: float = 0.0) -> Draw:
        """Draw mask and partners."""
        mask = torch.rand(*shape[-2:], generator=generator) < 0.7
        return OneMask(torch.randperm(shape[0], generator=generator), float(mask.float().mean()), mask=mask)

    def mix(self, x: Tensor, draw: Draw, pick: Pick) -> Tensor:
        """Join both."""
        assert isinstance(draw, OneMask)
        assert draw.mask is not None
        assert draw.partner is not None
        return torch.where(draw.mask.to(x.device), x, pick(x, draw.partner))


@dataclass(frozen=True)
class MaskDraw(Draw):
    """The class of CONTRIBUTING.md: a mask for each image."""

    masks: Tensor | None = None
    """[N, H, W] bool: what stays."""

    @property
    def changes_nothing(self) -> bool:
        """Without masks."""
        return self.masks is None and super().changes_nothing

    def of_rank(self, rank: int, ranks: int) -> Draw:
        """The masks of the rank's images."""
        part = super().of_rank(rank, ranks)
        assert isinstance(part, MaskDraw)
        return part if part.masks is None else replace(part, masks=part.masks[rank::ranks])


@dataclass(frozen=True)
class Erase(Mixing):
    """Black where an image's mask is not; no partner."""

    def draw(self, shape: Sequence[int], generator: torch.Generator, progress: float = 0.0) -> Draw:
        """Draw a mask for each image."""
        return MaskDraw(masks=torch.rand(shape[0], *shape[-2:], generator=generator) < 0.7)

    def mix(self, x: Tensor, draw: Draw, pick: Pick) -> Tensor:
        """Erase."""
        assert isinstance(draw, MaskDraw)
        assert draw.masks is not None
        return x * draw.masks[:, None].to(x.device)


@pytest.mark.parametrize("mixing", [FMixLike(), Erase(), Chain((Erase(), Cutout()))], ids=repr)
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_ranks_together_apply_what_one_process_does(mixing: Mixing, ranks: int) -> None:
    x = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1)) + 1.0
    draw = mixing.draw(SHAPE, torch.Generator().manual_seed(2))
    whole = mixing.apply(x, draw)
    assert not torch.equal(whole, x)
    for rank in range(ranks):

        def pick(rows: Tensor, partner: Tensor, rank: int = rank) -> Tensor:
            return x[partner][rank::ranks]

        part = mixing.apply(x[rank::ranks], draw.of_rank(rank, ranks), pick)
        assert torch.equal(part, whole[rank::ranks])


def test_the_mask_decides() -> None:
    x, mixing = torch.rand(SHAPE), FMixLike()
    draw = mixing.draw(SHAPE, torch.Generator().manual_seed(2))
    assert isinstance(draw, OneMask)
    assert draw.mask is not None
    assert draw.partner is not None
    mixed = mixing.apply(x, draw, take)
    assert torch.equal(mixed[:, :, draw.mask], x[:, :, draw.mask])
    assert torch.equal(mixed[:, :, ~draw.mask], x[draw.partner][:, :, ~draw.mask])
    assert MaskDraw().changes_nothing
    assert not MaskDraw(masks=draw.mask[None]).changes_nothing
