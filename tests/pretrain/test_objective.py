"""A training step's loss against the formulas written plainly, whichever way the images are normalised and mixed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from core.backbone import build
from core.errors import UserError
from core.mixing import Mixing
from pretrain.mixing.chain import Chain
from pretrain.mixing.cutmix import CutMix
from pretrain.mixing.cutmix_onehot import OneHotCutMix
from pretrain.mixing.cutmix_scheduled import ScheduledCutMix
from pretrain.mixing.cutout import Cutout
from pretrain.mixing.has import HaS
from pretrain.mixing.mixup import Mixup
from pretrain.mixing.none import NoMixing
from pretrain.objective import Objective
from pretrain.samples import Batch
from tests.core.networks import TINY_SPEC

METHODS: list[Mixing] = [
    NoMixing(), Mixup(), Cutout(), CutMix(), HaS(), OneHotCutMix(), Chain(), Chain((CutMix(), CutMix())),
    Chain((Mixup(), CutMix())), CutMix(probability=0.0),
]  # fmt: skip


class Network(nn.Module):
    """Keeps what it was given; logits of three classes."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)
        self.seen = torch.empty(0)

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x
        logits: Tensor = self.head(x.mean((2, 3)) * 5)
        return logits


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _batch(images: int = 6, side: int = 12, *, coloured: bool = False) -> Batch:
    pixels = torch.randint(0, 256, (images, side, side, 3), dtype=torch.uint8, generator=_generator(1))
    colours = torch.eye(3, 4).repeat(images, 1, 1) + torch.rand(images, 3, 4, generator=_generator(2))
    return Batch(pixels.permute(0, 3, 1, 2), torch.arange(images) % 3, colours if coloured else None)


def _images(batch: Batch) -> Tensor:
    """Coloured and normalised, by the formula."""
    x = batch.pixels.double()
    if batch.colours is not None:
        a = batch.colours.double()
        x = torch.einsum("nck,nkhw->nchw", a[:, :, :3], x) + a[:, :, 3, None, None]
    mean, std = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (TINY_SPEC.mean, TINY_SPEC.std))
    return ((x / 255 - mean) / std).float()


def _expected(mixing: Mixing, batch: Batch, seed: int) -> tuple[Tensor, Tensor]:
    """Mixed images and the dense target [N, 3], one method after another."""
    x, target, generator = _images(batch), functional.one_hot(batch.labels, 3).float(), _generator(seed)
    for one in mixing.mixings if isinstance(mixing, Chain) else (mixing,):
        draw = one.draw(x.shape, generator)
        x = one.apply(x, draw)
        if draw.partner is not None:
            weight = one.label_weight(draw)
            target = weight * target + (1 - weight) * target[draw.partner]
    return x, target


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["bytes", "coloured", "floats", "pair"])
@pytest.mark.parametrize("mixing", METHODS, ids=repr)
def test_the_loss_is_that_of_the_formulas(mixing: Mixing, kind: str, smoothing: float) -> None:
    batch = _batch(coloured=kind == "coloured")
    given: Sequence[Any] = batch
    if kind == "floats":
        given = Batch(batch.pixels.float(), batch.labels, None)
    elif kind == "pair":
        given = (batch.pixels, batch.labels)
    kept = [None if part is None else part.clone() for part in given]
    network = Network()
    for seed in range(5):
        loss, numbers = Objective(mixing, TINY_SPEC, smoothing)(network, given, _generator(seed))
        images, target = _expected(mixing, batch, seed)
        torch.testing.assert_close(network.seen, images, rtol=1e-4, atol=1e-4)
        logits = network.head(images.mean((2, 3)) * 5)
        plain = functional.cross_entropy(logits, target, label_smoothing=smoothing)
        torch.testing.assert_close(loss, plain, rtol=1e-4, atol=1e-4)
        assert numbers["top1"] == pytest.approx((logits.argmax(1) == batch.labels).float().mean().item())
    for part, before in zip(given, kept, strict=True):
        assert before is None or torch.equal(part, before), "rows side by side share a batch: it is not written to"


def test_networks_get_channels_last_and_a_gradient() -> None:
    network = Network()
    loss, _ = Objective(CutMix(), TINY_SPEC)(network, _batch(), _generator(0))
    torch.autograd.backward(loss)
    assert network.seen.is_contiguous(memory_format=torch.channels_last)
    assert network.head.weight.grad is not None
    assert network.head.weight.grad.abs().sum() > 0


def test_a_batch_of_one() -> None:
    for mixing in METHODS:
        loss, _ = Objective(mixing, TINY_SPEC)(Network(), _batch(1), _generator(0))
        assert loss.isfinite()


class Heeds(nn.Module):
    """A module that follows a schedule."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[float] = []

    def set_progress(self, progress: float) -> None:
        self.told.append(progress)

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_mixings_and_modules_are_told_the_progress() -> None:
    heeds = Heeds()
    model = nn.Sequential(heeds, Network())
    objective = Objective(ScheduledCutMix(), TINY_SPEC)
    mixed = []
    for step in range(100):
        objective.begin_step(step, 100)
        loss, _ = objective(model, _batch(), _generator(step))
        plain, _ = Objective(NoMixing(), TINY_SPEC)(model[1], _batch(), _generator(step))
        mixed.append(bool(loss != plain))
    assert heeds.told == [step / 100 for step in range(100)]
    assert not mixed[0]
    assert sum(mixed[:20]) < 12 < sum(mixed[80:])


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_a_smoothing_that_is_no_share_is_refused(smoothing: float) -> None:
    with pytest.raises(UserError, match="label_smoothing"):
        Objective(NoMixing(), TINY_SPEC, smoothing)


def test_the_same_generator_makes_the_same_step() -> None:
    torch.manual_seed(0)
    model = build(TINY_SPEC).train()
    losses = [Objective(CutMix(), TINY_SPEC)(model, _batch(8, 32), _generator(4))[0] for _ in range(2)]
    assert torch.equal(*losses)
    assert not np.isnan(losses[0].item())
