"""Layer4 at stride 1 on every kind of ResNet, the two halves of a cut one, and who is no ResNet."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core import backbone
from core.backbone import Spec
from core.errors import UserError
from core.resnet import classifier, cut, layer4_to_stride1, new_head, trunk

NARROW: dict[str, Any] = {"layers": [1, 1, 1, 2], "channels": [64, 64, 64, 64]}
LEGACY: dict[str, Any] = {"layers": [1, 1, 1, 2]}
# One of each kind of stem, block, shortcut, pool and attention; all 112 of timm 1.0.31 were looked at once by hand.
PLAIN = ["resnet18", "resnet50", "resnext50_32x4d", "resnetblur18", "resnetblur50", "res2net50_26w_4s"]
OTHERS = [
    *("test_resnet", "resnet10t", "resnet18d", "resnet50d", "resnet50c", "resnet50s", "resnet50_gn", "wide_resnet50_2"),
    *("resnetaa34d", "resnetaa50", "resnetblur50d", "resnetrs50", "seresnet18", "seresnext26t_32x4d", "senet154"),
    *("ecaresnet26t", "ecaresnetlight", "ecaresnext26t_32x4d", "skresnet18", "skresnet50d", "res2net50d"),
    *("resnest14d", "resnest50d_4s2x40d", "seresnextaa101d_32x8d"),
]
LEGACIES = ["legacy_seresnet18", "legacy_seresnext26_32x4d"]


def _build(name: str) -> nn.Module:
    torch.manual_seed(0)
    kwargs = {} if name == "test_resnet" else LEGACY if name in LEGACIES else NARROW
    return backbone.build(Spec(f"timm:{name}", num_classes=5, input_size=96, kwargs=kwargs)).eval()


def _outputs(module: nn.Module, model: nn.Module, images: Tensor) -> Tensor:
    kept: list[Tensor] = []
    hook = module.register_forward_hook(lambda _, given, out: kept.append(out))
    model(images)
    hook.remove()
    return kept[0]


@torch.no_grad()
@pytest.mark.parametrize("name", [*PLAIN, *OTHERS, *LEGACIES])
def test_layer4_keeps_layer3s_resolution_and_every_weight(name: str) -> None:
    model, images = _build(name), torch.randn(2, 3, 96, 96)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    assert [maps.shape[-1] for maps in trunk(model)(images)] == [24, 12, 6, 3]
    layer4_to_stride1(model)
    layer4_to_stride1(model)  # a second time changes nothing
    after = model.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[key], after[key]) for key in before)
    _, _, three, four = trunk(model)(images)
    assert three.shape[-2:] == four.shape[-2:] == (6, 6)
    block = model.get_submodule("layer4")[0]  # type: ignore[index]  # a Sequential by name
    assert _outputs(block.downsample, model, images).shape == _outputs(block, model, images).shape
    assert model(images).shape == (2, 5)


@torch.no_grad()
@pytest.mark.parametrize("name", PLAIN)
def test_nothing_but_the_stride_changes(name: str) -> None:
    """Where nothing looks at the whole map, every second place of the first block's output is what it was."""
    model, images = _build(name), torch.randn(2, 3, 96, 96)
    block = model.get_submodule("layer4")[0]  # type: ignore[index]  # a Sequential by name
    strided = _outputs(block, model, images)
    layer4_to_stride1(model)
    dense = _outputs(block, model, images)
    torch.testing.assert_close(dense[:, :, ::2, ::2], strided)


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet18", "resnet50d", "legacy_seresnet18"])
@pytest.mark.parametrize("stage", ["layer1", "layer2", "layer3", "layer4"])
def test_a_cut_network_is_the_network(name: str, stage: Any) -> None:
    model, images = _build(name), torch.randn(2, 3, 96, 96)
    before, after = cut(model, stage)
    features = before(images)
    assert torch.equal(features, _outputs(model.get_submodule(stage), model, images))
    torch.testing.assert_close(after(features), model(images))
    own = {id(parameter) for parameter in model.parameters()}
    assert {id(p) for half in (before, after) for p in half.parameters()} == own


def test_a_legacy_senet_has_a_head_that_can_be_replaced() -> None:
    model = _build("legacy_seresnet18")
    assert classifier(model).out_features == 5
    new_head(model, 7)
    assert model(torch.randn(1, 3, 64, 64)).shape == (1, 7)


@pytest.mark.parametrize("name", ["convnext_atto", "resnetv2_18", "gcresnet33ts", "test_vit", "dla34"])
def test_who_is_no_resnet_is_told_what_it_has(name: str) -> None:
    with torch.device("meta"):
        model = backbone.build(Spec(f"timm:{name}", 5, 64))
    for ask in (layer4_to_stride1, trunk):
        with pytest.raises(UserError, match=r"expected a ResNet with .*; it has .*(stem|base_layer|blocks)"):
            ask(model)


def test_another_pooling_than_the_mean_is_refused_where_a_network_is_cut() -> None:
    model = backbone.build(Spec("timm:test_resnet", 5, 64, {"global_pool": "avgmax"}))
    with pytest.raises(UserError, match="average pooling, there is 'avgmax'"):
        cut(model, "layer4")
