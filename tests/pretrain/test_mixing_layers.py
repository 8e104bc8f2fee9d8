"""Mixing at layers: against the network run by hand in two halves, and that nothing of it stays in the network."""

import copy
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional

from core.backbone import IMAGENET_MEAN, IMAGENET_STD, Spec
from core.data.cub import CUB
from core.errors import UserError
from core.mixing import Mixing
from core.normalize import normalize
from core.sites import Sites
from core.targets import Targets, soft_cross_entropy
from pretrain.mixing.at_layers import AtLayers
from pretrain.mixing.chain import Chain
from pretrain.mixing.cutmix import CutMix
from pretrain.mixing.cutout import Cutout
from pretrain.mixing.mixup import Mixup
from pretrain.objective import Objective
from transfer.tasks.classification import FineTune

SPEC = Spec("none", 5, 16)


class Network(nn.Module):
    """Two layers and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.layer2 = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.ReLU())
        self.unused = nn.Conv2d(1, 1, 1)
        self.fc = nn.Linear(6, 5)
        self.passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        logits: Tensor = self.fc(self.layer2(self.layer1(x)).mean((2, 3)))
        return logits


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network()


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _batch(images: int = 6, side: int = 16) -> tuple[Tensor, Tensor]:
    pixels = torch.randint(0, 256, (images, side, side, 3), dtype=torch.uint8, generator=_generator(1))
    return pixels.permute(0, 3, 1, 2), torch.arange(images) % 5


@pytest.mark.parametrize("mixing", [Mixup(), CutMix(), Chain((Cutout(), Mixup()))], ids=repr)
def test_equals_the_halves_run_by_hand(network: Network, mixing: Mixing) -> None:
    pixels, labels = _batch()
    objective = Objective(AtLayers(mixing, ("layer1",)), SPEC)
    for seed in range(6):
        network.zero_grad()
        loss, _ = objective(network, (pixels, labels), _generator(seed))
        torch.autograd.backward(loss)
        got = network.layer1[0].weight.grad
        network.zero_grad()
        replay = _generator(seed)
        torch.randint(1, (1,), generator=replay)  # which of the sites?
        draw = mixing.draw((6, 4, 16, 16), replay)
        hidden = mixing.apply(network.layer1(normalize(pixels, IMAGENET_MEAN, IMAGENET_STD)), draw)
        logits = network.fc(network.layer2(hidden).mean((2, 3)))
        dense = functional.one_hot(labels, 5).float()
        for part in draw.parts or (draw,):
            if part.partner is not None:
                dense = part.lam * dense + (1 - part.lam) * dense[part.partner]
        expected = functional.cross_entropy(logits, dense)
        torch.autograd.backward(expected)
        torch.testing.assert_close(loss, expected)
        torch.testing.assert_close(got, network.layer1[0].weight.grad)


def test_every_site_gets_its_share_of_the_batches() -> None:
    mixing = AtLayers(Mixup(), ("input", "layer1", "layer2"))
    generator = _generator(0)
    sites = [mixing.place(lambda _: (4, 3, 8, 8), generator)[0].site for _ in range(900)]
    for site in mixing.sites:
        assert sites.count(site) == pytest.approx(300, abs=4 * (900 * 2 / 9) ** 0.5)


def test_probing_leaves_no_trace_and_happens_once_for_each_size(network: Network) -> None:
    network.train()
    network.layer1[1].eval()  # frozen statistics stay frozen
    before = copy.deepcopy(network.state_dict())
    objective = Objective(AtLayers(Mixup(), ("layer2",)), SPEC)
    objective(network, _batch(), _generator(0))
    assert network.passes == 2
    objective(network, _batch(3), _generator(1))
    assert network.passes == 3
    objective(network, _batch(6, 20), _generator(2))
    assert network.passes == 5
    assert network.training
    assert not network.layer1[1].training
    assert list(network.state_dict()) == list(before)
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())


def test_tests_and_copies_are_not_mixed(network: Network) -> None:
    network.eval()
    images = normalize(_batch()[0], IMAGENET_MEAN, IMAGENET_STD)
    before = network(images)
    objective = Objective(AtLayers(Mixup(), ("layer1",)), SPEC)
    objective(network, _batch(), _generator(0))
    assert torch.equal(network(images), before)
    assert torch.equal(copy.deepcopy(network)(images), before)


def test_a_step_that_fails_leaves_nothing_due(network: Network) -> None:
    sites = Sites(network, ["layer1"])
    placed = AtLayers(Mixup(), ("layer1",)).place(sites.shapes(torch.empty(6, 3, 16, 16)), _generator(0))
    before = network.eval()(torch.ones(6, 3, 16, 16))
    with pytest.raises(RuntimeError, match="stopped"), sites.due(placed):
        raise RuntimeError("stopped")
    assert torch.equal(network(torch.ones(6, 3, 16, 16)), before)


def test_labels_are_mixed_in_the_order_in_which_the_network_meets_the_sites(network: Network) -> None:
    """A chain names layer2 first, then the input: the network meets them the other way round."""
    chain = Chain((AtLayers(Mixup(), ("layer2",)), AtLayers(CutMix(), ("layer1",)), CutMix()))
    pixels, labels = _batch()
    loss, _ = Objective(chain, SPEC)(network, (pixels, labels), _generator(2))
    shapes = {"layer2": (6, 6, 8, 8), "layer1": (6, 4, 16, 16), "input": (6, 3, 16, 16)}
    mixup, cut1, cut0 = (one.draw for one in chain.place(shapes.__getitem__, _generator(2)))
    x = CutMix().apply(normalize(pixels, IMAGENET_MEAN, IMAGENET_STD), cut0)
    x = Mixup().apply(network.layer2(CutMix().apply(network.layer1(x), cut1)), mixup)
    target = functional.one_hot(labels, 5).float()
    for draw in (cut0, cut1, mixup):
        assert draw.partner is not None
        target = draw.lam * target + (1 - draw.lam) * target[draw.partner]
    torch.testing.assert_close(loss, functional.cross_entropy(network.fc(x.mean((2, 3))), target))


def test_wrapped_networks_are_found(network: Network) -> None:
    mixing = AtLayers(CutMix(), ("layer1",))
    plain, _ = Objective(mixing, SPEC)(copy.deepcopy(network), _batch(), _generator(0))
    fabric = Fabric(accelerator="cpu", devices=1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    wrapped, _ = fabric.setup(copy.deepcopy(network), optimizer)
    compiled: Any = torch.compile(copy.deepcopy(network), backend="eager")
    for model in (wrapped, compiled, nn.DataParallel(copy.deepcopy(network))):
        objective = Objective(mixing, SPEC)
        for seed in (1, 0):  # the second step has a draw of other values
            loss, _ = objective(model, _batch(), _generator(seed))
        torch.testing.assert_close(loss, plain, msg=type(model).__name__)


def test_half_precision_networks_are_probed_in_their_own(network: Network) -> None:
    sites = Sites(network.bfloat16(), ["layer2"])
    assert sites.shapes(torch.empty(4, 3, 16, 16))("layer2") == (4, 6, 8, 8)


@pytest.mark.parametrize(
    ("site", "message"),
    [
        ("layer9", r"no module of that name; there are input and layer1, layer2, unused, fc"),
        ("fc", r"expected a module whose output is \[N, C, H, W\], got \(1, 5\)"),
        ("unused", "forward pass does not run this module"),
    ],
)
def test_a_site_that_is_none_is_refused(network: Network, site: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Objective(AtLayers(Mixup(), (site,)), SPEC)(network, _batch(), _generator(0))


@pytest.mark.parametrize(
    "bad",
    [lambda: AtLayers(sites=()), lambda: AtLayers(sites=("a", "a")), lambda: AtLayers(AtLayers())],
)
def test_impossible_fields_are_refused(bad: Any) -> None:
    with pytest.raises(UserError, match="mixing"):
        bad()


def test_fine_tuning_refuses_layers_and_takes_chains() -> None:
    with pytest.raises(UserError, match="AtLayers mixes at layer1, layer2; fine-tuning mixes its input alone"):
        FineTune(data=CUB(), mixing=AtLayers())
    task = FineTune(data=CUB(), mixing=Chain((Mixup(), CutMix())))
    pixels, labels = _batch()

    class Classifier(nn.Module):
        def forward(self, images: Tensor, change: Any) -> Tensor:
            return torch.stack([change(images.float()).mean((1, 2, 3)) * k / 100 for k in range(5)], 1)

    loss, _ = task.loss(Classifier(), (pixels, labels), _generator(0))
    replay = _generator(0)
    draw = Chain((Mixup(), CutMix())).draw(pixels.shape, replay)
    chain = Chain((Mixup(), CutMix()))
    logits = Classifier()(pixels, lambda x: chain.apply(x, draw))
    torch.testing.assert_close(loss, soft_cross_entropy(logits, chain.targets(Targets.of(labels), draw)))
