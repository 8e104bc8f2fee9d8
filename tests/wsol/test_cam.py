"""What every CAM must hold, collected from the folder; and CAM itself against its formula written plainly."""

import importlib
import inspect
import pkgutil
from dataclasses import is_dataclass

import pytest
import torch
from torch import nn

import wsol.cam
from core import backbone
from core.backbone import Spec
from core.errors import UserError
from core.resnet import layer4_to_stride1
from tests.core.networks import TINY_SPEC
from wsol.cam.base import CAM
from wsol.cam.cam import WeightCAM


def _methods() -> list[type[CAM]]:
    found = []
    for module in pkgutil.iter_modules(wsol.cam.__path__):
        loaded = importlib.import_module(f"wsol.cam.{module.name}")
        own = [c for _, c in inspect.getmembers(loaded, inspect.isclass) if c.__module__ == loaded.__name__]
        concrete = [c for c in own if issubclass(c, CAM) and not inspect.isabstract(c)]
        assert concrete or module.name == "base", f"wsol/cam/{module.name}.py holds no CAM"
        found += concrete
    return found


METHODS = _methods()
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
    network, images = _network(spec, stride1), torch.randn(3, 3, 64, 64)
    labels = torch.tensor([0, 2, 1])
    maps = method().bind(network)(images, lambda _: labels)
    side = 4 if stride1 else 2
    assert maps.scores.shape == (3, side, side)
    assert maps.scores.dtype == torch.float32
    assert torch.isfinite(maps.scores).all()
    assert torch.allclose(maps.logits, network(images), atol=1e-5)
    again = method().bind(network)(images[1:2], lambda logits: labels[1:2])
    assert torch.allclose(again.scores[0], maps.scores[1], atol=1e-5), "an image's map depends on its batch"


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
