"""The detectron2 engine, where detectron2 is: features, losses, frozen parts, predictions, the exported files.

Not in CI, which has no detectron2: `PYTHONPATH=. python -m pytest tests/transfer/test_detectron2_engine.py` in a Python
that has it.
"""
# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-call,unused-ignore"

import logging
import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

pytest.importorskip("detectron2", reason="detectron2 is not importable; docs/detectron2.md says how to build it")

from detectron2.checkpoint import DetectionCheckpointer
from detectron2.config import get_cfg
from detectron2.modeling import build_model
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.roi_heads import FastRCNNOutputLayers
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage

from core import backbone as backbones
from core.backbone import Backbone, Spec
from core.config import load
from core.errors import UserError
from core.resnet import trunk
from transfer.tasks.detection.detectron2.export import export
from transfer.tasks.detection.detectron2.heads import FloatPooler
from transfer.tasks.detection.detectron2.model import Detector, build
from transfer.tasks.detection.detectron2.network import NATIVE, TOLERANCE, WRAPPED, body
from transfer.tasks.detection.necks import C4, FPN, Neck
from transfer.tasks.detection.rcnn import Regions
from transfer.tasks.faster_rcnn import FasterRCNN

FEATURES = ("res2", "res3", "res4", "res5")
SMALL: dict[str, Any] = {"regions_per_image": 8, "anchors_per_image": 64, "candidates": (50, 50), "proposals": (20, 20)}
NECKS: dict[str, Neck] = {
    "c4": C4(anchors=(16, 32, 64), roi_size=8, extra_norm=True),
    "fpn": FPN(16, head_width=32, anchor_scale=4),
    "fpn of two levels": FPN(16, (2, 3), head_width=32, anchor_scale=4, canonical_side=64, aligned=True),
}


def network(name: str = "timm:resnet18", **kwargs: Any) -> Backbone:
    """An untrained network whose norms have statistics, scales and shifts of their own."""
    torch.manual_seed(1)
    spec = Spec(name, 10, 64, kwargs, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
    model = backbones.build(spec)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return Backbone(spec, model, "untrained")


def scene() -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Two images of other sizes; the second has no objects."""
    draw = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=draw) for size in ((96, 120), (101, 77))]
    boxes = torch.tensor([[10.0, 12, 60, 70], [40, 30, 118, 90]])
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    return images, [{"boxes": boxes, "labels": torch.tensor([3, 20])}, none]


def largest_difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("torchvision:resnet50", NATIVE),
        ("timm:resnet18", NATIVE),
        ("timm:resnext50_32x4d", NATIVE),
        ("timm:test_resnet", WRAPPED),
        ("timm:resnet26d", WRAPPED),
    ],
)
@pytest.mark.parametrize("norms_frozen", [True, False])
def test_features_equal_ours(name: str, form: str, norms_frozen: bool) -> None:
    start = network(name)
    ours = trunk(deepcopy(start.model)).eval()
    found = body(start.model, FEATURES, freeze_at=2, norms_frozen=norms_frozen, head=False)
    assert found.form.startswith(form)
    found.bottom_up.eval()
    image = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        theirs, expected = found.bottom_up(image), ours(image)
    for name, one, channels in zip(FEATURES, expected, ours.channels, strict=True):
        assert largest_difference(theirs[name], one) <= 1e-5
        assert found.bottom_up.output_shape()[name].channels == channels


@pytest.mark.parametrize("name", ["timm:resnet50", "timm:test_resnet"])
def test_layer4_is_c4s_head_with_our_features(name: str) -> None:
    start = network(name)
    ours = trunk(deepcopy(start.model)).eval()
    found = body(start.model, ("res4",), freeze_at=0, norms_frozen=True, head=True)
    assert found.res5 is not None
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        res4 = found.bottom_up.eval()(image)["res4"]
        assert largest_difference(found.res5.eval()(res4), ours(image)[3]) <= 1e-5


def test_a_network_that_only_looks_plain_is_wrapped() -> None:
    """A forward of its own shows in the features alone."""
    start = network("torchvision:resnet18")
    block: Any = start.model.layer3[1]  # type: ignore[index]
    inner = block.forward
    block.forward = lambda x: 1.01 * inner(x)
    found = body(start.model, FEATURES, freeze_at=0, norms_frozen=True, head=False)
    assert found.form.startswith(WRAPPED)
    assert "other features" in found.form
    assert TOLERANCE < 0.01


@pytest.mark.parametrize("name", ["timm:resnet18", "torchvision:resnet50", "timm:test_resnet"])
@pytest.mark.parametrize("neck", NECKS)
def test_one_step_has_a_finite_loss_and_moves_what_is_trained(name: str, neck: str) -> None:
    start = network(name)
    loaded = {name: tensor.clone() for name, tensor in start.model.state_dict().items()}
    task = FasterRCNN(neck=NECKS[neck], norms_frozen=False, freeze_at=2, **SMALL)
    model = build(task, start, 20)
    used = model.trunk_tensors()
    stages = range(1, 1 + task.neck.stages())
    expected = {n for n in loaded if not n.startswith("fc.") and (n[5] in map(str, stages) or n[:5] != "layer")}
    counters = {n for n in expected if n.endswith("num_batches_tracked")}
    assert expected - counters <= set(used) <= expected
    assert all(torch.equal(tensor, loaded[n]) for n, tensor in used.items())
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    images, targets = scene()
    model.train()
    losses = model(images, targets)
    assert isinstance(losses, dict)
    assert list(losses) == ["loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"]
    assert all(bool(torch.isfinite(loss)) for loss in losses.values())
    torch.stack(list(losses.values())).sum().backward()
    optimizer.step()
    still = {n for n, tensor in model.trunk_tensors().items() if torch.equal(tensor, loaded[n])}
    frozen = {n for n in used if n.startswith(("conv1.", "bn1.", "layer1."))}
    assert still == frozen


@pytest.mark.parametrize("name", ["timm:resnet18", "timm:test_resnet"])
def test_norms_and_parts_are_frozen_as_the_fields_say(name: str) -> None:
    plain = network(name).model
    norms = {n for n, module in plain.named_modules() if isinstance(module, nn.BatchNorm2d)}

    def detector(freeze_at: int, norms_frozen: bool) -> Detector:
        fields = {"freeze_at": freeze_at, "norms_frozen": norms_frozen, **SMALL}
        return build(FasterRCNN(neck=NECKS["c4"], **fields), network(name), 20).train()

    assert set(detector(0, True).frozen_norms()) == norms
    assert not detector(0, False).frozen_norms()
    low = {n for n in norms if n.startswith(("conv1.", "bn1", "layer1."))}
    assert set(detector(2, False).frozen_norms()) == low
    for freeze_at in (0, 2, 5):
        model = detector(freeze_at, True)
        trained = {n for n, tensor in model.trunk_tensors().items() if tensor.requires_grad}
        prefixes = ("conv1.", "layer1.", "layer2.", "layer3.", "layer4.")[freeze_at:]
        convolutions = {n for n, p in plain.named_parameters() if p.ndim == 4}
        assert trained == {n for n in convolutions if n.startswith(prefixes)}
    images, targets = scene()
    model = detector(0, True)
    before = {n: tensor.clone() for n, tensor in model.trunk_tensors().items()}
    model(images, targets)
    assert all(torch.equal(tensor, before[n]) for n, tensor in model.trunk_tensors().items())


@pytest.mark.parametrize("neck", NECKS)
def test_predictions_lie_in_the_image_best_first(neck: str) -> None:
    model = build(FasterRCNN(neck=NECKS[neck], score_threshold=0.0, **SMALL), network(), 20).eval()
    images, _ = scene()
    with torch.no_grad():
        found = model(images)
    for image, one in zip(images, found, strict=True):
        boxes, scores, labels = one["boxes"], one["scores"], one["labels"]
        assert len(boxes) == len(scores) == len(labels) > 0
        assert bool((boxes >= 0).all())
        assert bool((boxes[:, 2] <= image.shape[2]).all())
        assert bool((boxes[:, 3] <= image.shape[1]).all())
        assert bool((boxes[:, 2:] > boxes[:, :2]).all())
        assert bool((scores[:-1] >= scores[1:]).all())
        assert int(labels.min()) >= 1
        assert int(labels.max()) <= 20


def test_images_are_normalised_as_rgb_by_the_backbones_own_numbers() -> None:
    model: Any = build(FasterRCNN(neck=NECKS["c4"], **SMALL), network(), 20)
    image = torch.zeros(3, 2, 2, dtype=torch.uint8)
    image[0] = 255  # red
    got = model.network.preprocess_image([{"image": image}]).tensor[0, :, 0, 0]
    torch.testing.assert_close(got, torch.tensor([0.6 / 0.2, -0.5 / 0.25, -0.6 / 0.3]))


@pytest.mark.parametrize("beta", [0.0, 1 / 9, 1.0])
def test_losses_of_regions_equal_those_of_our_torchvision_engine(beta: float) -> None:
    """The same regions, logits and offsets; detectron2 puts the background last, torchvision first."""
    torch.manual_seed(0)
    classes, count = 4, 30
    low = torch.rand(count, 2) * 50
    regions = torch.cat([low, low + 5 + torch.rand(count, 2) * 40], 1)
    truth = regions + torch.randn(count, 4)
    labels = torch.randint(0, classes + 1, (count,))  # 0 is the background
    logits, offsets = torch.randn(count, classes + 1), torch.randn(count, 4 * (classes + 1))
    weights = (10.0, 10.0, 5.0, 5.0)
    coder = Box2BoxTransform(weights=weights)
    layers = FastRCNNOutputLayers(8, box2box_transform=coder, num_classes=classes, smooth_l1_beta=beta)
    one = Instances((100, 100))
    one.proposal_boxes, one.gt_boxes = Boxes(regions), Boxes(truth)
    one.gt_classes = torch.where(labels == 0, classes, labels - 1)
    with EventStorage():
        theirs = layers.losses((logits.roll(-1, 1), offsets[:, 4:]), [one])
    heads: Any = Regions.__new__(Regions)
    nn.Module.__init__(heads)
    heads.beta = beta
    ours = heads.losses(logits, offsets, labels, coder.get_deltas(regions, truth))
    torch.testing.assert_close(ours["loss_classifier"], theirs["loss_cls"])
    torch.testing.assert_close(ours["loss_box_reg"], theirs["loss_box_reg"])


def same_weights(theirs: Any, ours: Any) -> None:
    """The torchvision engine's detector gets the detectron2 engine's layers, which has the background last."""
    network, kind = theirs.network, ours.rpn.head
    head, box = network.proposal_generator.rpn_head, network.roi_heads.box_predictor
    kind.conv.load_state_dict(head.conv.state_dict())
    kind.objectness.load_state_dict(head.objectness_logits.state_dict())
    kind.offsets.load_state_dict(head.anchor_deltas.state_dict())
    predictor = ours.roi_heads.box_predictor
    predictor.scores.weight.data, predictor.scores.bias.data = (
        box.cls_score.weight.roll(1, 0), box.cls_score.bias.roll(1, 0)
    )  # fmt: skip
    predictor.offsets.weight.data[4:], predictor.offsets.bias.data[4:] = box.bbox_pred.weight, box.bbox_pred.bias
    if hasattr(network.roi_heads, "box_head"):
        ours.roi_heads.box_head.fc6.load_state_dict(network.roi_heads.box_head.fc1.state_dict())
        ours.roi_heads.box_head.fc7.load_state_dict(network.roi_heads.box_head.fc2.state_dict())
        pyramid, levels = ours.backbone.pyramid, ours.backbone.levels
        for i, level in enumerate(levels):
            side, out = (getattr(network.backbone, f"fpn_{name}{level + 1}") for name in ("lateral", "output"))
            pyramid.inner_blocks[i][0].load_state_dict(side.state_dict())
            pyramid.layer_blocks[i][0].load_state_dict(out.state_dict())


@pytest.mark.parametrize("norms_frozen", [True, False])
@pytest.mark.parametrize("neck", NECKS)
def test_both_engines_say_the_same_with_the_same_weights(neck: str, norms_frozen: bool, tmp_path: Path) -> None:
    """Detections in the test; losses and gradients in training, anchors and regions drawn from the same seed."""
    few: dict[str, Any] = {
        "candidates": (60, 60), "proposals": (20, 20), "regions_per_image": 8, "anchors_per_image": 32,
        "score_threshold": 0.05, "foreground_share": 0.5, "box_beta": 0.5, "norms_frozen": norms_frozen,
    }  # fmt: skip
    task = FasterRCNN(neck=NECKS[neck], **few)
    theirs: Any = build(task, network(), 20)
    head, box = theirs.network.proposal_generator.rpn_head, theirs.network.roi_heads.box_predictor
    with torch.no_grad():  # fresh layers tell regions so little apart that rounding would order them
        for layer, factor in ((head.objectness_logits, 30), (head.anchor_deltas, 10), (box.cls_score, 30)):
            layer.weight *= factor
        box.bbox_pred.weight *= 100
    ours: Any = task.model(network(), tmp_path)
    same_weights(theirs, ours)
    draw = torch.Generator().manual_seed(3)
    sizes = ((3, 139, 187), (3, 121, 203))  # of no stride's multiple
    images = [torch.randint(0, 256, size, dtype=torch.uint8, generator=draw) for size in sizes]
    with torch.no_grad():
        pairs = list(zip(theirs.eval()(images), ours.eval()(images), strict=True))
    for one, other in pairs:
        assert len(one["boxes"]) == len(other["boxes"]) > 5
        torch.testing.assert_close(one["scores"], other["scores"], atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(one["boxes"], other["boxes"], atol=1e-2, rtol=1e-3)
        assert torch.equal(one["labels"], other["labels"])
    losses, slopes = [], []
    for detector in (theirs, ours):
        torch.manual_seed(5)
        parts = detector.train()(images, scene()[1])
        torch.stack(list(parts.values())).sum().backward()
        losses.append({name: float(part) for name, part in parts.items()})
        slopes.append([float(p.grad.norm()) for p in detector.parameters() if p.grad is not None])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert min(losses[0].values()) > 0
    assert np.linalg.norm(slopes[0]) == pytest.approx(np.linalg.norm(slopes[1]), rel=1e-2)


def test_regions_are_pooled_in_float32_under_bfloat16() -> None:
    """A corner at 501 pixels is 500 or 502 in bfloat16; a ramp shows where a region was pooled."""
    ramp = torch.arange(64.0).expand(1, 1, 64, 64).contiguous()
    boxes = [Boxes(torch.tensor([[501.0, 16, 629, 144]]))]
    kind: dict[str, Any] = {"scales": [1 / 16], "sampling_ratio": 2, "pooler_type": "ROIAlignV2"}
    exact = FloatPooler(output_size=4, **kind)([ramp], boxes)
    expected = torch.tensor([501 / 16 + 1 - 0.5, 501 / 16 + 3 - 0.5, 501 / 16 + 5 - 0.5, 501 / 16 + 7 - 0.5])
    torch.testing.assert_close(exact[0, 0, 0], expected)
    torch.testing.assert_close(FloatPooler(output_size=4, **kind)([ramp.bfloat16()], boxes), exact)


def test_a_training_that_diverged_stops_with_a_remedy() -> None:
    model: Any = build(FasterRCNN(neck=NECKS["fpn"], **SMALL), network(), 20).train()
    images, targets = scene()
    with torch.no_grad():
        model.network.proposal_generator.rpn_head.anchor_deltas.bias.fill_(float("nan"))
    with pytest.raises(UserError, match="smaller learning rate"):
        model(images, targets)


def test_another_neck_is_refused() -> None:
    neck: Any = object.__new__(type("Plain", (Neck,), {"parts": None, "stages": None, "divisor": None}))
    with pytest.raises(UserError, match="expected the neck C4 or FPN, got Plain"):
        build(FasterRCNN(neck=neck), network(), 20)


@pytest.mark.parametrize(
    ("config", "name"),
    [("voc_frcnn_zoo_c4", "timm:resnet50"), ("voc_frcnn_zoo_fpn", "timm:resnet18")],
)
def test_the_exported_files_load_into_detectron2s_own_model(
    tmp_path: Path, config: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """`train_net.py` builds and loads as here; every tensor of the backbone must have arrived."""
    start = network(name)
    backbones.save(tmp_path / "start.safetensors", start.model, start.spec)
    export(load(f"transfer/{config}"), str(tmp_path / "start.safetensors"), tmp_path / "out", None)
    settings = get_cfg()
    settings.merge_from_file(str(tmp_path / "out/config.yaml"))
    settings.MODEL.DEVICE = "cpu"
    model = build_model(settings)
    with caplog.at_level(logging.WARNING):
        DetectionCheckpointer(model).load(settings.MODEL.WEIGHTS)
    written = pickle.loads((tmp_path / "out/backbone.pkl").read_bytes())["model"]
    state = model.state_dict()
    for key, array in written.items():
        (there,) = [name for name in state if name.endswith(f".{key}")]
        assert torch.equal(state[there], torch.from_numpy(array))
    fresh = ("rpn_head", "box_predictor", "box_head", "fpn_", "pixel_")
    arrived = {name for name in state if not any(part in name for part in fresh)}
    assert len(arrived) == len(written)
    assert "keys that are not used" not in caplog.text
    image = torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8)
    bottom_up = getattr(model.backbone, "bottom_up", model.backbone)
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (start.spec.mean, start.spec.std))
    with torch.no_grad():
        theirs = bottom_up(model.preprocess_image([{"image": image}]).tensor)["res4"]
        assert largest_difference(theirs, trunk(start.model).eval()(((image / 255 - mean) / std)[None])[2]) <= 1e-5
