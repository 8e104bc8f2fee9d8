"""What every CAM must hold, collected from the folder; CAM itself against its formula written plainly.

The other methods' formulas: tests/wsol/test_cam_formulas.py.
"""

from dataclasses import fields, is_dataclass

import pytest
import torch
from torch import nn

import wsol.cam
from core import backbone
from core.backbone import Spec
from core.errors import UserError
from core.resnet import layer4_to_stride1
from tests.collecting import plugins
from tests.core.networks import TINY_SPEC
from wsol.cam.base import CAM
from wsol.cam.cam import WeightCAM

METHODS = plugins(wsol.cam, CAM)
SPECS = {
    "timm basic": TINY_SPEC,
    "timm test_resnet": Spec("timm:test_resnet", 7, 64),
    "torchvision resnet18": Spec("torchvision:resnet18", 4, 64),
}


def _network(spec: Spec, stride1: bool = False) -> nn.Module:
    torch.manual_seed(0)
    network = backbone.build(spec).eval()
    if stride1:
        layer4_to_stride1(network)
    return network


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stride1", [False, True])
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_maps_and_logits(method: type[CAM], spec: Spec, stride1: bool) -> None:
    assert is_dataclass(method)
    network, images = _network(spec, stride1), torch.randn(2, 3, 64, 64)
    labels = torch.tensor([0, 2])
    maps = method().bind(network)(images, lambda _: labels)
    side = 4 if stride1 else 2
    assert maps.scores.shape == (2, side, side)
    assert maps.scores.dtype == torch.float32
    assert torch.isfinite(maps.scores).all()
    assert torch.allclose(maps.logits, network(images), atol=1e-5)
    again = method().bind(network)(images[1:2], lambda logits: labels[1:2])
    assert torch.allclose(again.scores[0], maps.scores[1], atol=1e-5), "an image's map depends on its batch"


@pytest.mark.parametrize("method", METHODS)
def test_k_classes_give_the_maps_of_each_alone(method: type[CAM]) -> None:
    explain, images = method().bind(_network(TINY_SPEC)), torch.randn(2, 3, 64, 64)
    top = explain(images, lambda logits: logits.topk(2).indices)
    assert top.scores.shape == (2, 2, 2, 2)
    for k in range(2):
        alone = explain(images, lambda logits, k=k: logits.topk(2).indices[:, k])  # type: ignore[misc]  # mypy and defaults of lambdas
        assert torch.allclose(top.scores[:, k], alone.scores, atol=1e-6)
    assert explain(images, lambda logits: logits.topk(1).indices).scores.shape == (2, 1, 2, 2)


@pytest.mark.parametrize("method", METHODS)
def test_under_no_grad_as_with_gradients_and_no_graph_or_weight_gradient_is_left(method: type[CAM]) -> None:
    network, images = _network(TINY_SPEC), torch.randn(2, 3, 64, 64)
    explain, labels = method().bind(network), torch.tensor([1, 2])
    with torch.no_grad():
        quiet = explain(images, lambda _: labels)
    loud = explain(images, lambda _: labels)
    assert torch.equal(quiet.scores, loud.scores)
    assert not loud.scores.requires_grad
    assert not loud.logits.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("method", [method for method in METHODS if "layer" in {f.name for f in fields(method)}])
def test_earlier_layers_give_finer_maps(method: type[CAM]) -> None:
    network, images = _network(TINY_SPEC), torch.randn(1, 3, 64, 64)
    for layer, side in (("layer1", 16), ("layer2", 8), ("layer3", 4)):
        maps = method(layer=layer).bind(network)(images, lambda logits: logits.argmax(1))  # type: ignore[call-arg]
        assert maps.scores.shape == (1, side, side)
        assert torch.allclose(maps.logits, network(images), atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_mixed_precision_gives_nearly_the_same_float32_maps(method: type[CAM]) -> None:
    explain, images = method().bind(_network(TINY_SPEC, stride1=True)), torch.randn(2, 3, 64, 64)
    labels = torch.tensor([1, 2])
    exact = explain(images, lambda _: labels).scores
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = explain(images, lambda _: labels).scores
    assert mixed.dtype == torch.float32
    assert (mixed - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize("method", METHODS)
def test_weights_that_are_not_finite_give_maps_that_are_not(method: type[CAM]) -> None:
    """So that whoever called can name the image; nothing raises, nothing hides it."""
    network = _network(TINY_SPEC)
    with torch.no_grad():
        network.get_parameter("layer4.0.conv1.weight").fill_(float("nan"))
    maps = method().bind(network)(torch.randn(1, 3, 32, 32), lambda logits: torch.zeros(1, dtype=torch.long))
    assert not maps.scores.isfinite().any()


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
@torch.no_grad()
def test_cam_equals_the_formula_image_by_image(spec: Spec) -> None:
    """Eq. (2): M_c(x, y) = sum over k of w_k^c f_k(x, y); f from a hook on layer4, one image and place at a time."""
    network, images = _network(spec, stride1=True), torch.randn(3, 3, 64, 64)
    maps = WeightCAM().bind(network)(images, lambda logits: logits.argmax(1)).scores
    features: list[torch.Tensor] = []
    handle = network.layer4.register_forward_hook(lambda *args: features.append(args[2]))  # type: ignore[union-attr]  # a Module by name
    for i in range(3):
        predicted = int(network(images[i : i + 1]).argmax())
        weight = network.fc.weight[predicted]  # type: ignore[union-attr, index]  # a Linear by name
        for y in range(4):
            for x in range(4):
                expected = sum(float(w * f) for w, f in zip(weight, features[-1][0, :, y, x], strict=True))
                assert float(maps[i, y, x]) == pytest.approx(expected, abs=1e-4)
    handle.remove()


@torch.no_grad()
def test_a_maps_mean_is_its_classes_logit_without_bias() -> None:
    network = _network(TINY_SPEC)
    maps = WeightCAM().bind(network)(torch.randn(5, 3, 32, 32), lambda logits: torch.full((5,), 2))
    bias = network.fc.bias[2]  # type: ignore[union-attr, index]  # a Linear by name
    assert torch.allclose(maps.scores.mean((1, 2)) + bias, maps.logits[:, 2], atol=1e-5)


def test_a_network_without_a_head_is_refused() -> None:
    with pytest.raises(UserError, match="fc"):
        WeightCAM().bind(_network(Spec("timm:test_resnet", 0, 64)))


def test_another_pooling_than_the_mean_is_refused() -> None:
    with pytest.raises(UserError, match="average pooling, there is 'max'"):
        WeightCAM().bind(_network(Spec("timm:test_resnet", 2, 64, {"global_pool": "max"})))
