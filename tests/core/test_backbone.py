"""Backbone files name their architecture, load whole or not at all, and ResNets of all kinds are understood."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from core import backbone
from core.errors import UserError
from core.resnet import classifier, layer4_to_stride1, new_head, trunk
from tests.core.networks import TINY_SPEC

RESNETS = [
    *(f"timm:{name}" for name in ("test_resnet", "resnet10t", "resnet18", "resnet50d", "resnetaa50d", "resnetblur50")),
    *(f"timm:{name}" for name in ("seresnext26t_32x4d", "ecaresnet26t", "resnetrs50", "resnext50_32x4d")),
    *("torchvision:resnet18", "torchvision:resnet50"),
]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "backbone.safetensors"
    backbone.save(path, backbone.build(TINY_SPEC), TINY_SPEC)
    return path


def test_a_backbone_comes_back_with_its_header_and_a_report(saved: Path) -> None:
    loaded = backbone.load(saved.parent)
    tensors = len(loaded.model.state_dict())
    assert loaded.spec == TINY_SPEC
    assert loaded.name == str(saved.parent)
    assert loaded.report == f"{tensors} of {tensors} tensors loaded"
    torch.manual_seed(1)
    x, original = torch.randn(2, 3, 32, 32), backbone.load(saved).model
    assert torch.equal(original.eval()(x), loaded.model.eval()(x))


def test_equal_weights_are_equal_bytes(saved: Path, tmp_path: Path) -> None:
    """safetensors' own order of the metadata's keys changes from call to call: without ours this fails."""
    model, again = backbone.load(saved).model, tmp_path / "again.safetensors"
    for _ in range(16):
        backbone.save(again, model, TINY_SPEC)
        assert again.read_bytes() == saved.read_bytes()


def test_a_file_as_safetensors_writes_it_is_read_too(saved: Path, tmp_path: Path) -> None:
    plain, tensors = tmp_path / "plain.safetensors", load_file(saved)
    with safe_open(saved, framework="pt") as opened:
        assert opened.metadata()["format"] == "pt"
        save_file(tensors, plain, metadata=opened.metadata())
    found = backbone.load(plain)
    assert found.spec == TINY_SPEC
    assert all(torch.equal(tensors[name], tensor) for name, tensor in found.model.state_dict().items())


def test_another_architecture_is_refused_with_the_first_tensor_that_differs(saved: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    backbone.save(
        other, backbone.build(TINY_SPEC), replace(TINY_SPEC, kwargs={**TINY_SPEC.kwargs, "channels": [8, 8, 16, 32]})
    )
    with pytest.raises(UserError, match=r"other\.safetensors: \d+ of \d+ tensors loaded; .* missing.*layer4"):
        backbone.load(other)


def test_half_a_file_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[: saved.stat().st_size // 2])
    with pytest.raises(UserError, match="expected a whole safetensors file"):
        backbone.load(saved)


def test_a_pickle_is_refused_unopened(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    torch.save({"fc.weight": torch.zeros(1)}, path)
    with pytest.raises(UserError, match=r"a pickle .* CONTRIBUTING\.md"):
        backbone.load(path)


def test_tensors_without_a_header_are_refused(tmp_path: Path) -> None:
    save_file({"fc.weight": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=r"expected a header .* CONTRIBUTING\.md"):
        backbone.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize("source", ["timm:vit_tiny_patch16_224", "torchvision:squeezenet1_1"])
def test_a_kind_of_network_is_refused_before_its_weights_are_fetched(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import timm
    import torchvision

    def without(make: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        def made(name: str, **given: object) -> nn.Module:
            if given.get("pretrained") or given.get("weights"):
                raise AssertionError("weights are fetched")
            return make(name, **given)

        return made

    monkeypatch.setattr(timm, "create_model", without(timm.create_model))
    monkeypatch.setattr(torchvision.models, "get_model", without(torchvision.models.get_model))
    state = torch.get_rng_state()
    with pytest.raises(UserError, match=f"{source}: .*expected a ResNet with conv1"):
        backbone.load(source, check=trunk)
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(UserError, match="weights are fetched"):
        backbone.load(source)


@pytest.mark.parametrize("architecture", ["timm:no_such_net", "os:system", "core.recipe:Absent", "resnet50"])
def test_an_unknown_architecture_is_named(architecture: str) -> None:
    with pytest.raises(UserError, match=architecture):
        backbone.build(replace(TINY_SPEC, architecture=architecture))


def test_a_backbone_that_is_not_there_says_what_may_be_given(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected a run folder"):
        backbone.load(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("architecture", RESNETS)
def test_every_resnet_gives_four_maps_and_a_layer4_of_stride_1(architecture: str) -> None:
    spec = backbone.Spec(architecture, num_classes=5, input_size=64)
    torch.manual_seed(0)
    model = backbone.build(spec).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        stages = trunk(model)
        maps = stages(x)
        assert [m.shape[-1] for m in maps] == [16, 8, 4, 2]
        assert tuple(m.shape[1] for m in maps) == stages.channels
        keys = set(model.state_dict())
        layer4_to_stride1(model)
        assert trunk(model)(x)[3].shape == (1, stages.channels[3], 4, 4)
        assert set(model.state_dict()) == keys
        assert model(x).shape == (1, 5)
        new_head(model, 7)
        assert classifier(model).out_features == 7
        assert model(x).shape == (1, 7)


def test_taking_the_trunk_leaves_modes_and_statistics() -> None:
    model = backbone.build(TINY_SPEC).train()
    model.get_submodule("layer1").eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    trunk(model)
    assert model.training
    assert not model.get_submodule("layer1").training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_network_that_is_no_resnet_is_refused() -> None:
    with pytest.raises(UserError, match="expected a ResNet with conv1"):
        trunk(torch.nn.Sequential(torch.nn.Linear(2, 2)))
