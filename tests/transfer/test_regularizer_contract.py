"""What every regularizer must hold; collected from the folder, so a new file is tested without editing this one."""

from dataclasses import is_dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

import transfer.regularizers
from core import backbone
from core.backbone import Spec
from tests.collecting import plugins
from transfer.regularizers.base import Regularizer

SPEC = Spec("timm:resnet50", 3, 32, {"layers": [1, 1, 2, 3], "channels": [8, 8, 8, 8], "stem_width": 8})
"""ResNet-50's blocks in small: as many in layer3 and layer4 as a method's default places need."""


@pytest.fixture(params=plugins(transfer.regularizers, Regularizer), ids=lambda method: method.__name__)
def regularizer(request: pytest.FixtureRequest) -> Regularizer:
    made = request.param()
    assert isinstance(made, Regularizer)
    return made


def _twins() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    one, other = backbone.build(SPEC), backbone.build(SPEC)
    other.load_state_dict(one.state_dict())
    return one, other


def test_is_a_frozen_documented_dataclass_that_computes_when_attached(regularizer: Regularizer) -> None:
    assert is_dataclass(regularizer)
    assert type(regularizer).__dataclass_params__.frozen  # type: ignore[attr-defined]  # set by the decorator
    assert type(regularizer).__doc__
    network, plain = _twins()
    regularizer.attach(network)
    images = torch.randn(4, 3, 32, 32)
    changed = [not torch.equal(network.train()(images), plain.train()(images)) for _ in range(5)]
    assert any(changed), "nothing happens in training"


def test_a_test_sees_the_plain_network(regularizer: Regularizer) -> None:
    network, plain = _twins()
    regularizer.attach(network)
    images = torch.randn(2, 3, 32, 32)
    state = torch.get_rng_state()
    assert torch.equal(network.eval()(images), plain.eval()(images))
    assert torch.equal(torch.get_rng_state(), state), "and draws nothing"


def test_leaves_no_trace_in_the_weights(regularizer: Regularizer, tmp_path: Path) -> None:
    network, plain = _twins()
    regularizer.attach(network)
    assert list(network.state_dict()) == list(plain.state_dict())
    assert [name for name, _ in network.named_parameters()] == [name for name, _ in plain.named_parameters()]
    backbone.save(tmp_path / "trained.safetensors", network, SPEC)
    loaded = backbone.load(tmp_path / "trained.safetensors").model
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(loaded.eval()(images), network.eval()(images))


def test_randomness_is_torchs_and_gradients_are_finite(regularizer: Regularizer) -> None:
    network, _ = _twins()
    regularizer.attach(network)
    images = torch.randn(4, 3, 32, 32)
    outputs = []
    for _ in range(2):
        torch.manual_seed(3)
        outputs.append(network.train()(images))
    assert torch.equal(*outputs)
    outputs[0].sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
