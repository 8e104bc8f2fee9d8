"""The processes that share one training step, as mixing sees them: who holds which image, and how to get at others'.

R processes (ranks). The global batch has N images; rank r holds every R-th of them, so that its image i is image
``i * R + r`` of the global batch (`core.loader.train_batches`). Where N is no multiple of R, the first ranks hold one
image more. Every rank draws the same partners for the global batch; only the pixels that are really mixed in travel.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def _only_mine(x: Tensor) -> Tensor:
    return x[None]


def _filled(rows: Tensor, count: int) -> Tensor:
    """`rows` [n, ...], contiguous, with rows that nobody picks up to `count`: ranks gather alike shapes."""
    lacking = count - len(rows)
    return torch.cat([rows, rows.new_zeros(lacking, *rows.shape[1:])]) if lacking else rows.contiguous()


@dataclass(frozen=True)
class Peers:
    """This process among those that share a step. The default is a process by itself."""

    rank: int = 0
    """This process's number, from 0."""
    ranks: int = 1
    """How many there are."""
    gather: Callable[[Tensor], Tensor] = _only_mine
    """[n, ...] contiguous, the same shape on every rank -> [R, n, ...] of all ranks, with gradient."""

    def __post_init__(self) -> None:
        """Check the fields."""
        assert 0 <= self.rank < self.ranks, f"rank {self.rank} of {self.ranks}"

    def share(self, images: int) -> int:
        """Of a global batch of `images`, how many this rank holds."""
        return len(range(self.rank, images, self.ranks))

    def pick(self, rows: Tensor, partner: Tensor) -> Tensor:
        """The partners' rows for this rank's images, wherever they are.

        Args:
            rows: [n, ...] of this rank's images: pixels of a region, or labels.
            partner: [N] int64, the global permutation.

        Returns:
            [n, ...], new memory; the gradient flows back to the rank that a row came from.
        """
        channels_last = rows.ndim > 2 and rows.stride(1) == 1
        if channels_last:  # rows are copied as they lie, and travel so
            rows = rows.movedim(1, -1)
        if self.ranks > 1:
            assert len(rows) == self.share(len(partner)), f"{len(rows)} of {len(partner)} images on rank {self.rank}"
            most = -(-len(partner) // self.ranks)  # what the first rank holds
            wanted = partner[self.rank :: self.ranks]
            partner = wanted % self.ranks * most + wanted // self.ranks  # ranks lie one after the other
            rows = self.gather(_filled(rows, most)).flatten(0, 1)
        picked = rows.index_select(0, partner.to(rows.device, non_blocking=True))
        return picked.movedim(-1, 1) if channels_last else picked


def one_process() -> Peers:
    """A process by itself."""
    return Peers()


class _Gather(torch.autograd.Function):
    """Every rank's tensor on every rank; a tensor's gradient is the sum of what all ranks' losses say of it.

    torch.distributed.nn has the same, deprecated in torch 2.15 and without a successor that 2.11 has.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, rank: int, ranks: int) -> Tensor:
        ctx.rank = rank
        gathered = x.new_empty((ranks, *x.shape))
        torch.distributed.all_gather(list(gathered.unbind(0)), x.detach())
        return gathered

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        total = grad.contiguous().clone()
        torch.distributed.all_reduce(total)
        return total[ctx.rank], None, None


def of(fabric: "Fabric") -> Peers:
    """The processes of a launched Fabric."""
    if fabric.world_size == 1:
        return one_process()

    def gather(x: Tensor) -> Tensor:
        return cast("Tensor", _Gather.apply(x, fabric.global_rank, fabric.world_size))

    return Peers(fabric.global_rank, fabric.world_size, gather)


def take(rows: Tensor, partner: Tensor) -> Tensor:
    """`rows[partner]`: what `Peers.pick` is in one process."""
    return one_process().pick(rows, partner)


Pick = Callable[[Tensor, Tensor], Tensor]
"""(rows [n, ...], partner [N]) -> the partners' rows [n, ...], as `Peers.pick`."""
__all__ = ["Peers", "Pick", "of", "one_process", "take"]
