"""Each CAM method against its paper's formula, written plainly: an image, a channel, a place at a time.

The gradients come from torch's autograd through the whole network with a hook on the layer, not through our cut of it.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from core import backbone
from core.errors import UserError
from tests.core.networks import TINY_SPEC
from wsol.cam.base import CAM, Layer
from wsol.cam.cam import WeightCAM
from wsol.cam.eigencam import EigenCAM, first_component
from wsol.cam.gradcam import GradCAM
from wsol.cam.gradcam_pp import GradCAMPlusPlus
from wsol.cam.hirescam import HiResCAM
from wsol.cam.layercam import LayerCAM
from wsol.cam.scorecam import ScoreCAM
from wsol.cam.xgradcam import XGradCAM

LABELS = torch.tensor([0, 2, 1])
LAYERS: list[Layer] = ["layer2", "layer4"]


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    model = backbone.build(TINY_SPEC).eval()
    for name, buffer in model.named_buffers():  # batch norms that are not near the identity
        if "running" in name:
            buffer.copy_(torch.rand_like(buffer) * 0.5 + 0.1)
    return model


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(3, 3, 96, 96, generator=torch.Generator().manual_seed(1))


def _by_autograd(network: nn.Module, image: Tensor, label: int, layer: str) -> tuple[Tensor, Tensor]:
    """A layer's output and the logit's gradient with respect to it, both [C, h, w], for one image."""
    kept: list[Tensor] = []
    hook = network.get_submodule(layer).register_forward_hook(lambda module, given, out: kept.append(out))
    logit = network(image[None])[0, label]
    hook.remove()
    (gradients,) = torch.autograd.grad(logit, kept[0])
    return kept[0][0].detach(), gradients[0]


def _grad_cam(a: Tensor, g: Tensor) -> Tensor:
    return sum(g[c].mean() * a[c] for c in range(len(a))).clamp_min(0)  # type: ignore[union-attr]


def _hires_cam(a: Tensor, g: Tensor) -> Tensor:
    return sum(g[c] * a[c] for c in range(len(a)))  # type: ignore[return-value]


def _layer_cam(a: Tensor, g: Tensor) -> Tensor:
    return sum(g[c].clamp_min(0) * a[c] for c in range(len(a))).clamp_min(0)  # type: ignore[union-attr]


def _xgrad_cam(a: Tensor, g: Tensor) -> Tensor:
    weights = [(a[c] / a[c].sum() * g[c]).sum() if a[c].sum() != 0 else 0.0 for c in range(len(a))]
    return sum(w * a[c] for c, w in enumerate(weights)).clamp_min(0)  # type: ignore[union-attr]


def _grad_cam_pp(a: Tensor, g: Tensor) -> Tensor:
    """Eq. (19) with its squares and cubes, in double, the common factor exp(logit) as 1."""
    a, g = a.double(), g.double()
    result = torch.zeros(a.shape[1:], dtype=torch.float64)
    for c in range(len(a)):
        weight = 0.0
        for gradient in g[c].ravel().tolist():
            if gradient > 0:
                weight += gradient**2 / (2 * gradient**2 + float(a[c].sum()) * gradient**3) * gradient
        result += weight * a[c]
    return result.clamp_min(0).float()


FORMULAS: list[tuple[type[CAM], Callable[[Tensor, Tensor], Tensor]]] = [
    (GradCAM, _grad_cam), (HiResCAM, _hires_cam), (LayerCAM, _layer_cam),
    (XGradCAM, _xgrad_cam), (GradCAMPlusPlus, _grad_cam_pp),
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(("method", "formula"), FORMULAS, ids=[method.__name__ for method, _ in FORMULAS])
def test_gradient_methods(
    method: type[CAM], formula: Callable[[Tensor, Tensor], Tensor], layer: Layer, network: nn.Module, images: Tensor
) -> None:
    maps = method(layer=layer).bind(network)(images, lambda _: LABELS).scores  # type: ignore[call-arg]  # all of these have it
    for i, label in enumerate(LABELS.tolist()):
        expected = formula(*_by_autograd(network, images[i], label, layer))
        assert expected.abs().max() > 0, "this oracle shows nothing"
        torch.testing.assert_close(maps[i], expected, rtol=1e-4, atol=1e-6 * float(expected.abs().max()))


def test_on_the_last_layer_grad_cam_and_hires_cam_are_cam_over_its_places(network: nn.Module, images: Tensor) -> None:
    cam, grad, hires = (
        method().bind(network)(images, lambda _: LABELS).scores for method in (WeightCAM, GradCAM, HiResCAM)
    )
    places = cam[0].numel()
    assert (cam < 0).any()
    torch.testing.assert_close(hires, cam / places)
    torch.testing.assert_close(grad, cam.clamp_min(0) / places)


def test_hires_cam_sums_to_the_logit_without_bias(network: nn.Module, images: Tensor) -> None:
    maps = HiResCAM().bind(network)(images, lambda _: LABELS)
    bias = network.get_parameter("fc.bias")[LABELS]
    torch.testing.assert_close(maps.scores.sum((1, 2)) + bias, maps.logits.gather(1, LABELS[:, None])[:, 0])


@pytest.mark.parametrize("layer", LAYERS)
def test_eigen_cam_is_numpys_first_component(layer: Layer, network: nn.Module, images: Tensor) -> None:
    maps = EigenCAM(layer).bind(network)(images, lambda _: LABELS).scores
    for i in range(3):
        features = _by_autograd(network, images[i], 0, layer)[0].double().numpy()  # [C, h, w]
        places = features.reshape(len(features), -1).T  # [h w, C]
        expected = places @ np.linalg.svd(places, full_matrices=False)[2][0]
        expected *= np.sign(expected.sum())
        np.testing.assert_allclose(maps[i].ravel().numpy(), expected, rtol=1e-3, atol=1e-4 * expected.max())
        assert (maps[i] >= -1e-5).all(), "features after a ReLU have a component that is not negative"


def test_eigen_cam_of_features_of_any_sign_and_of_none() -> None:
    line = torch.linspace(-1, 3, 12).reshape(3, 4)  # one direction of the channels alone: the map is the line itself
    features = torch.stack([torch.tensor([0.6, -0.8])[:, None, None] * line, torch.zeros(2, 3, 4)])
    maps = first_component(features)
    torch.testing.assert_close(maps[0], line, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(first_component(-features)[0], line, atol=1e-5, rtol=1e-5)
    assert (maps[1] == 0).all()


@torch.no_grad()
@pytest.mark.parametrize("layer", LAYERS)
def test_score_cam_by_a_loop_over_channels(layer: Layer, network: nn.Module, images: Tensor) -> None:
    kept: list[Tensor] = []
    hook = network.get_submodule(layer).register_forward_hook(lambda module, given, out: kept.append(out))
    network(images)
    hook.remove()
    features = kept[0]
    features[1, 3] = 0.5  # a constant channel; changed in place, so only the loop below sees it
    for batch in (5, 64):
        maps = ScoreCAM(layer, batch=batch).bind(network)(images, lambda _: LABELS).scores
        for i in (0, 2):
            logits = []
            for channel in features[i]:
                mask = functional.interpolate(channel[None, None], (96, 96), mode="bilinear", align_corners=False)
                span = float(mask.max() - mask.min())
                mask = (mask - mask.min()) / span if span else torch.zeros_like(mask)
                logits.append(float(network(images[i : i + 1] * mask)[0, LABELS[i]]))
            weights = np.exp(logits) / np.exp(logits).sum()
            expected = sum(w * a for w, a in zip(weights.tolist(), features[i], strict=True)).clamp_min(0)
            torch.testing.assert_close(maps[i], expected, rtol=1e-4, atol=1e-5)


def test_a_channel_that_is_constant_masks_everything(images: Tensor) -> None:
    """The class's logit is then that of the image that is all zero."""
    from wsol.cam.scorecam import masked_logits

    features = torch.stack([torch.full((3, 4, 4), 0.5), torch.zeros(3, 4, 4)], 1)
    said = masked_logits(lambda x: x.mean((2, 3)) + 7, images, features, LABELS[:, None], 64)
    assert (said == 7).all()


def test_fused_layer_cam_is_the_largest_of_scaled_maps(network: nn.Module, images: Tensor) -> None:
    kept: tuple[Layer, ...] = ("layer3", "layer4")
    fused = LayerCAM("layer2", fuse=kept).bind(network)(images, lambda _: LABELS)
    assert fused.scores.shape == (3, 12, 12)
    for i in range(3):
        scaled = []
        for layer in ("layer2", *kept):
            one = _layer_cam(*_by_autograd(network, images[i], int(LABELS[i]), layer))
            small = np.tanh(2 * one.numpy() / max(float(one.max()), math.ulp(0)))
            larger = functional.interpolate(torch.from_numpy(small)[None, None], (12, 12), mode="bilinear")
            scaled.append(larger[0, 0].numpy())
        np.testing.assert_allclose(fused.scores[i].numpy(), np.maximum.reduce(scaled), atol=1e-5)


def test_fused_stages_explain_one_choice_of_classes(network: nn.Module, images: Tensor) -> None:
    """Under autocast the logits of each stage's pass differ, and so might their argmax."""
    fused, asked = LayerCAM("layer2", fuse=("layer3", "layer4")).bind(network), []

    def wavering(logits: Tensor) -> Tensor:
        asked.append(logits)
        return (LABELS + len(asked) - 1) % logits.shape[1]

    maps = fused(images, wavering)
    assert len(asked) == 1
    assert torch.equal(asked[0], maps.logits)
    assert torch.equal(maps.scores, fused(images, lambda _: LABELS).scores)


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="batch >= 1"):
        ScoreCAM(batch=0)
