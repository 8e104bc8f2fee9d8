"""ADL against its formula written plainly; what every regularizer must hold is in `test_regularizer_contract.py`.

N = 2 images, C = 2 channels, 2 x 2 cells; the network is one block that hands its input on.
"""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from core import backbone
from core.config import load
from core.errors import UserError
from tests.core.networks import TINY_SPEC
from transfer.regularizers.adl import ADL
from transfer.stage import Transfer
from transfer.tasks.classification import FineTune

FEATURES = torch.tensor(
    [[[[1.0, 2.0], [3.0, 0.0]], [[3.0, 0.0], [5.0, 0.0]]], [[[0.5, 0.0], [0.0, 0.25]], [[0.5, 0.0], [0.25, 0.5]]]]
)


class Block(nn.Module):
    """`layer4.0`: what comes in goes out."""

    def __init__(self) -> None:
        super().__init__()
        self.layer4 = nn.Sequential(nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer4(x)
        return out


def plain(features: Tensor, one_cell: Callable[[float, float], float]) -> Tensor:
    """Cell by cell: the mean over channels, the image's largest, and what a cell is multiplied by."""
    out = features.clone()
    for n in range(features.shape[0]):
        attention = [[sum(features[n, :, i, j].tolist()) / features.shape[1] for j in range(2)] for i in range(2)]
        largest = max(max(row) for row in attention)
        for i in range(2):
            for j in range(2):
                out[n, :, i, j] *= one_cell(attention[i][j], largest)
    return out


def attached(**fields: float) -> Block:
    network = Block()
    ADL(after=("layer4.0",), **fields).attach(network)
    return network.train()


@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.8, 1.0])
def test_the_drop_mask_hides_what_reaches_the_threshold(threshold: float) -> None:
    expected = plain(FEATURES, lambda attention, largest: float(attention < threshold * largest))
    assert torch.equal(attached(drop_rate=1.0, threshold=threshold)(FEATURES), expected)


def test_the_importance_map_is_the_sigmoid_of_the_mean_over_channels() -> None:
    expected = plain(FEATURES, lambda attention, _: 1 / (1 + math.exp(-attention)))
    torch.testing.assert_close(attached(drop_rate=0.0)(FEATURES), expected)


def test_gradients_flow_through_the_importance_map_and_not_through_the_mask() -> None:
    x = torch.tensor([[[[0.5, -1.0], [2.0, 0.0]]]], requires_grad=True)
    s = x.detach().sigmoid()
    (soft,) = torch.autograd.grad(attached(drop_rate=0.0)(x).sum(), x)
    torch.testing.assert_close(soft, s + x.detach() * s * (1 - s))  # d(x s(x)) / dx, one channel
    (hard,) = torch.autograd.grad(attached(drop_rate=1.0)(x).sum(), x)
    assert hard.tolist() == [[[[1.0, 1.0], [0.0, 1.0]]]]


def test_one_choice_a_batch_at_its_rate_from_torchs_generator() -> None:
    network = attached(drop_rate=0.75, threshold=0.8)
    mask = plain(FEATURES, lambda attention, largest: float(attention < 0.8 * largest))
    soft = attached(drop_rate=0.0)(FEATURES)
    dropped = 0
    for seed in range(1000):
        torch.manual_seed(seed)
        first = network(FEATURES)
        torch.manual_seed(seed)
        assert torch.equal(first, network(FEATURES))
        assert torch.equal(first, mask) or torch.equal(first, soft), "both images get the same of the two"
        dropped += torch.equal(first, mask)
    assert dropped / 1000 == pytest.approx(0.75, abs=4 * math.sqrt(0.75 * 0.25 / 1000))


def test_a_block_that_is_not_there_is_named_beside_those_that_are() -> None:
    with pytest.raises(UserError, match=r"has no layer4\.2; its blocks are layer1\.0, layer2\.0, layer3\.0, layer4\.0"):
        ADL().attach(backbone.build(TINY_SPEC))


@pytest.mark.parametrize("name", ["cub_wsolevaluation_adl", "imagenet_wsolevaluation_adl"])
def test_the_configs_have_wsolevaluations_values(name: str) -> None:
    """Those of its command line (`--adl_drop_rate`, `--adl_threshold`), not of its layer, whose threshold is .8."""
    config = load(f"transfer/{name}")
    assert isinstance(config, Transfer)
    assert isinstance(config.task, FineTune)
    assert config.task.regularizer == ADL(drop_rate=0.75, threshold=0.9, after=("layer3.0", "layer4.0", "layer4.2"))


@pytest.mark.parametrize("wrong", [{"drop_rate": 1.5}, {"threshold": -0.1}, {"after": ()}])
def test_refuses_what_means_nothing(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        ADL(**wrong)  # type: ignore[arg-type]  # wrong on purpose
