"""One step over several ranks equals one process's: same draws, same loss, same gradient.

Ranks are threads here, and real processes in the last test.
"""

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from core.backbone import Spec
from core.mixing import Draw, Mixing
from core.peers import Peers, of, one_process, take
from pretrain.mixing.at_layers import AtLayers
from pretrain.mixing.chain import Chain
from pretrain.mixing.cutmix import CutMix
from pretrain.mixing.cutout import Cutout
from pretrain.mixing.has import HaS
from pretrain.mixing.mixup import Mixup
from pretrain.mixing.none import NoMixing
from pretrain.objective import Objective
from pretrain.samples import Batch
from tests.core.ranks import in_ranks

SPEC = Spec("none", 5, 12)
METHODS: list[Mixing] = [
    NoMixing(), Mixup(), Cutout(), CutMix(), HaS(),
    Chain((CutMix(), Cutout(), Mixup())), Chain((AtLayers(), Cutout())),
    AtLayers(CutMix(), ("layer1",)), AtLayers(Mixup(), ("layer2",)), AtLayers(HaS(), ("layer1",)),
]  # fmt: skip


class Network(nn.Module):
    """Two layers and a head, without batch statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.layer2 = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.ReLU())
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.layer2(self.layer1(x)).mean((2, 3)))
        return logits


class Exchange:
    """gather() for threads: each lays down its part and waits for the others'."""

    def __init__(self, ranks: int) -> None:
        self.parts: list[Tensor] = [torch.empty(0)] * ranks
        self.barrier = threading.Barrier(ranks, timeout=20)
        self.moved = 0

    def peers(self, rank: int) -> Peers:
        def gather(x: Tensor) -> Tensor:
            assert x.is_contiguous()
            self.parts[rank] = x
            self.barrier.wait()
            everyone = torch.stack(self.parts)
            self.barrier.wait()
            self.moved += x.nbytes if rank == 0 else 0
            return everyone

        return Peers(rank, len(self.parts), gather)


def _together(ranks: int, work: Callable[[Peers], Tensor]) -> tuple[list[Tensor], Exchange]:
    exchange = Exchange(ranks)
    with ThreadPoolExecutor(ranks) as pool:
        return list(pool.map(work, [exchange.peers(rank) for rank in range(ranks)])), exchange


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("ranks", "images"), [(2, 6), (3, 7)])
@pytest.mark.parametrize("coloured", [False, True])
@pytest.mark.parametrize("mixing", METHODS, ids=repr)
def test_ranks_together_equal_one_process(mixing: Mixing, coloured: bool, ranks: int, images: int) -> None:
    """Of seven images the first of three ranks has three, the others two."""
    torch.manual_seed(0)
    network = Network()
    pixels = torch.randint(0, 256, (images, 12, 12, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    colours = torch.eye(3, 4).repeat(images, 1, 1) + 0.1 * torch.rand(images, 3, 4) if coloured else None
    labels = torch.randint(5, (images,))
    for seed in range(4):
        network.zero_grad()
        alone, _ = Objective(mixing, SPEC, 0.1)(network, Batch(pixels, labels, colours), _generator(seed))
        torch.autograd.backward(alone)
        copies = [copy.deepcopy(network).requires_grad_() for _ in range(ranks)]
        for one in copies:
            one.zero_grad()

        def work(peers: Peers, copies: list[Network] = copies, seed: int = seed) -> Tensor:
            mine = slice(peers.rank, None, peers.ranks)
            batch = Batch(pixels[mine], labels[mine], None if colours is None else colours[mine])
            objective = Objective(mixing, SPEC, 0.1, peers)
            objective.begin_batch(images)
            return objective(copies[peers.rank], batch, _generator(seed))[0] * peers.share(images) / images

        losses, _ = _together(ranks, work)
        mean = torch.stack(losses).sum()
        torch.testing.assert_close(mean, alone, rtol=1e-5, atol=1e-5)
        torch.autograd.backward(mean)
        for name, parameter in network.named_parameters():
            parts = [dict(one.named_parameters())[name].grad for one in copies]
            gradient = torch.stack([part for part in parts if part is not None]).sum(0)
            torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(8,), (8, 2, 3, 5), (8, 1, 1, 1)])
def test_pick_is_the_partners_rows(ranks: int, shape: tuple[int, ...]) -> None:
    rows, partner = torch.randn(shape), torch.randperm(8)
    picked, _ = _together(ranks, lambda peers: peers.pick(rows[peers.rank :: peers.ranks], partner))
    for rank, part in enumerate(picked):
        assert torch.equal(part, rows[partner][rank::ranks])


def test_only_the_box_travels() -> None:
    x = torch.randint(0, 256, (8, 20, 20, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    draw = Draw(torch.randperm(8), 0.9, (2, 3, 7, 11))
    _, exchange = _together(2, lambda peers: CutMix().apply(x[peers.rank :: 2], draw, peers.pick))
    assert exchange.moved == 4 * 5 * 8 * 3  # images of one rank, rows, columns, bytes


def test_a_draw_is_cut_to_the_ranks_images() -> None:
    draw = Chain((Cutout(), HaS(), CutMix())).draw((6, 3, 8, 8), _generator(0))
    cut = draw.of_rank(1, 3)
    cutout, has, cutmix = draw.parts
    assert cut.parts[0].boxes == (cutout.boxes[1], cutout.boxes[4])
    assert cutout.cells is None
    assert has.cells is not None
    assert cut.parts[1].cells is not None
    assert torch.equal(cut.parts[1].cells, has.cells[[1, 4]])
    assert cut.parts[2].partner is cutmix.partner
    assert cut.parts[2].box == cutmix.box
    assert draw.of_rank(0, 1) is draw


def test_one_process_is_rank_0_of_1() -> None:
    assert (one_process().rank, one_process().ranks, one_process().share(7)) == (0, 1, 7)
    assert [Peers(rank, 3).share(7) for rank in range(3)] == [3, 2, 2]
    rows = torch.arange(3)
    assert take(rows, torch.tensor([2, 0, 1])).tolist() == [2, 0, 1]
    assert one_process().gather(rows).shape == (1, 3)


IN_PROCESSES: list[Mixing] = [Mixup(), Chain((CutMix(), Cutout())), AtLayers(CutMix(), ("layer1",)), AtLayers()]


def _batch(seed: int) -> Batch:
    generator = _generator(seed)
    pixels = torch.randint(0, 256, (8, 12, 12, 3), dtype=torch.uint8, generator=generator).permute(0, 3, 1, 2)
    return Batch(pixels, torch.randint(5, (8,), generator=generator), None)


def _weights(mixing: Mixing, objective: Objective, fabric: Fabric) -> tuple[list[float], Tensor]:
    """Losses and final weights of four steps, on a launched Fabric's share of each batch."""
    torch.manual_seed(0)
    network = Network()
    model, optimizer = fabric.setup(network, torch.optim.SGD(network.parameters(), lr=0.5))
    losses = []
    for step in range(4):
        batch, mine = _batch(step), slice(fabric.global_rank, None, fabric.world_size)
        loss, _ = objective(model, (batch.pixels[mine], batch.labels[mine]), _generator(step))
        fabric.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses, torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def _in_process(fabric: Fabric, folder: Path) -> list[tuple[list[float], Tensor]]:
    del folder
    return [_weights(mixing, Objective(mixing, SPEC, 0.1, of(fabric)), fabric) for mixing in IN_PROCESSES]


def test_two_gloo_processes_train_as_one(tmp_path: Path) -> None:
    """With gradient through what layers exchange: four steps of data-parallel training end at the same weights."""
    ranks = in_ranks(_in_process, tmp_path / "ranks")
    fabric = Fabric(accelerator="cpu", devices=1)
    for i, mixing in enumerate(IN_PROCESSES):
        losses, weights = _weights(mixing, Objective(mixing, SPEC, 0.1), fabric)
        together = torch.tensor([rank[i][0] for rank in ranks]).mean(0)
        torch.testing.assert_close(together, torch.tensor(losses), rtol=1e-5, atol=1e-5)
        for rank in ranks:
            torch.testing.assert_close(rank[i][1], weights, rtol=1e-4, atol=1e-5)
