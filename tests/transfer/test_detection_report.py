"""A detector that is not what was asked for is refused; what it is, is reported."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from core.backbone import IMAGENET_MEAN, Backbone, Spec
from core.errors import UserError
from core.recipe import SGD, Recipe
from core.resnet import trunk
from tests.transfer.detection_cases import backbone
from transfer.tasks.detection.data import Fit
from transfer.tasks.detection.task import Detection
from transfer.tasks.faster_rcnn import C4, FPN, FasterRCNN
from transfer.tasks.ssd import SSD
from transfer.weights import compare, loaded, part

SSD96 = SSD(side=96, extras=(32,), scales=(0.2, 0.4, 0.6, 0.8, 1.0), ratios=((2,),) * 4, steps=None)
SHORT_FPN = FPN(32, (2, 3), extra_level=False, anchor_scale=4, head_width=64)
TASKS: dict[str, Detection] = {
    "ssd": SSD96,
    "fpn": FasterRCNN(neck=SHORT_FPN, size=Fit(96, 128), freeze_at=1, norms_frozen=False),
    "c4": FasterRCNN(neck=C4((32, 64), roi_size=6, extra_norm=True), size=Fit(96, 128), train_shorts=(80, 96)),
}
RECIPE = Recipe(optimizer=SGD(0.02, 0.9, 1e-4), batch_size=8, steps=100, lr_batch=16)


def _pretrained() -> Backbone:
    """A backbone whose norms have seen something."""
    net = backbone()
    net.report = f"{len(net.model.state_dict())} of {len(net.model.state_dict())} tensors loaded"
    for norm in _norms(net.model):
        assert norm.running_mean is not None
        norm.running_mean.uniform_(-1, 1)
    return net


def _norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]


def _said(task: Detection, folder: Path, net: Backbone, recipe: Recipe | None = RECIPE, ranks: int = 1) -> Any:
    return task.report(task.model(net, folder), net, recipe, ranks, 64)


@pytest.mark.parametrize("kind", sorted(TASKS))
def test_a_right_detector_is_described(kind: str, tmp_path: Path) -> None:
    task, net = TASKS[kind], _pretrained()
    used = sum(part(name) <= task.stages() for name in _trunk_names(net))
    model = task.model(net, tmp_path).train()
    said = task.report(model, net, RECIPE, 1, 64)
    assert model.training
    assert json.loads(json.dumps(said)) == said
    whole, counters = len(net.model.state_dict()), len(_norms(net.model))
    assert said["backbone"] == (
        f"{whole} tensors, none missing, none unexpected: {used} used as loaded, {whole - counters - used} not used "
        f"(the head, stages that the detector does not read), {counters} counters of BatchNorm "
        "(no result depends on these)"
    )
    assert said["pixels"] == "RGB in 0..1, mean 0.485 0.456 0.406, std 0.229 0.224 0.225"
    assert said["batch"] == "8 images a step: 1 process x 1 micro-batch x 8"
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert said["trained"].startswith(f"{trained:,} parameters")
    frozen = {"ssd": "no part", "fpn": "stem", "c4": "stem, layer1"}[kind]
    assert said["frozen"].startswith(f"{frozen}; ")


def _trunk_names(net: Backbone) -> list[str]:
    names = [name for name in net.model.state_dict() if not name.endswith("num_batches_tracked")]
    return [name for name in names if not name.startswith("fc.")]


def test_sizes_are_told(tmp_path: Path) -> None:
    assert _said(TASKS["ssd"], tmp_path, _pretrained())["images"] == "96 x 96"
    sizes = _said(TASKS["c4"], tmp_path, _pretrained())["images"]
    assert sizes == "short side 96, long side at most 128; in training one of 80, 96"


def test_the_mode_of_norms_is_told(tmp_path: Path) -> None:
    count = len(_norms(backbone().model))
    c4 = _said(TASKS["c4"], tmp_path, _pretrained())["norms"]
    assert c4.startswith(f"{count} of the backbone's {count} BatchNorms frozen, 0 trained on 8 images")
    assert c4.endswith("1 of the detector's own trained")
    assert " trained on 4 images each time" in _said(TASKS["ssd"], tmp_path, _pretrained(), ranks=2)["norms"]
    recipe = replace(RECIPE, sync_batchnorm=True)
    said = _said(TASKS["ssd"], tmp_path, _pretrained(), recipe, 2)["norms"]
    assert said == f"0 of the backbone's {count} BatchNorms frozen, {count} synchronised over 2 processes (8 images)"
    alone = replace(RECIPE, batch_size=2, accumulate=2)
    said = _said(TASKS["ssd"], tmp_path, _pretrained(), alone)
    assert said["norms"].endswith("trained on 1 image each time")
    assert said["batch"] == "2 images a step: 1 process x 2 micro-batches x 1"
    assert "no effect with one process" in _said(TASKS["ssd"], tmp_path, _pretrained(), recipe)["norms"]


def test_without_training_there_is_no_batch(tmp_path: Path) -> None:
    assert _said(SSD96, tmp_path, _pretrained(), None)["batch"] == "no training"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": (123.675, 116.28, 103.53)}, "divide by 255"),
        ({"std": (58.395, 57.12, 57.375)}, "divide by 255"),
        ({"std": (0.0, 0.2, 0.2)}, "divide by 255"),
        ({"mean": tuple(reversed(IMAGENET_MEAN))}, "blue, green, red"),
    ],
)
def test_pixels_of_another_range_or_order_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    net = _pretrained()
    net.spec = Spec(**{**net.spec.__dict__, **change})
    with pytest.raises(UserError, match=message):
        _said(SSD96, tmp_path, net)


def test_statistics_that_nobody_took_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="never trained"):
        _said(TASKS["c4"], tmp_path, backbone())
    _said(SSD96, tmp_path, backbone())  # trained from nothing, its norms with it
    net = _pretrained()
    _norms(net.model)[3].running_var.zero_()  # type: ignore[union-attr]
    with pytest.raises(UserError, match=r"layer1\.\S+: its running variance is all zero"):
        _said(SSD96, tmp_path, net)


def test_a_backbone_that_was_half_loaded_or_is_not_finite_is_refused(tmp_path: Path) -> None:
    net = _pretrained()
    net.report = "1 of 68 tensors loaded"
    with pytest.raises(UserError, match="1 of 68"):
        SSD96.model(net, tmp_path)
    net = _pretrained()
    with torch.no_grad():
        next(net.model.layer2.parameters())[0] = float("nan")  # type: ignore[union-attr]
    with pytest.raises(UserError, match=r"layer2\.\S+: expected finite"):
        SSD96.model(net, tmp_path)


def test_a_backbone_of_localization_is_refused_by_its_files_name(tmp_path: Path) -> None:
    net = _pretrained()
    net.spec, net.given = replace(net.spec, layer4_stride1=True), "cub.safetensors"
    with pytest.raises(UserError, match=r"cub\.safetensors: SSD expects .* layer4_stride1=true"):
        SSD96.model(net, tmp_path)


def test_a_network_that_is_no_resnet_is_refused_by_itself() -> None:
    SSD96.check_network(backbone().model)
    with pytest.raises(UserError, match="Sequential: expected a ResNet"):
        SSD96.check_network(nn.Sequential(nn.Linear(2, 2)))


def _copied(net: Backbone, detector: nn.Module) -> None:
    """Another network of the same shape stands in the detector."""
    detector.backbone.body.layer3 = backbone().model.layer3  # type: ignore[union-attr]


def _initialised(net: Backbone, detector: nn.Module) -> None:
    """An initialisation ran over a loaded layer."""
    nn.init.zeros_(net.model.layer1[0].conv1.weight)  # type: ignore[index, union-attr]


def _counted(net: Backbone, detector: nn.Module) -> None:
    """A batch moved a norm's statistics."""
    net.model.layer4[0].bn1.running_mean += 1  # type: ignore[index, union-attr]


@pytest.mark.parametrize(
    ("harm", "message"),
    [(_copied, "are not in it"), (_initialised, r"layer1\.0\.conv1"), (_counted, r"layer4\.0\.bn1\.running_mean")],
)
def test_every_tensor_must_be_the_loaded_one(
    harm: Callable[[Backbone, nn.Module], None], message: str, tmp_path: Path
) -> None:
    net = _pretrained()
    before = loaded(net, trunk(net.model), 4)
    detector = SSD96.build(net, 20)
    compare(detector, before, "x")
    harm(net, detector)
    with pytest.raises(UserError, match=message):
        compare(detector, before, "x")


def _unfreeze(model: nn.Module) -> None:
    model.backbone.stages[0][0][0].weight.requires_grad_(True)  # type: ignore[union-attr, index]


def _freeze(model: nn.Module) -> None:
    model.backbone.stages[3].requires_grad_(False)  # type: ignore[union-attr, index]


def _let_a_norm_learn(model: nn.Module) -> None:
    norm = model.backbone.stages[2][0].bn1  # type: ignore[union-attr, index]
    model.backbone.stages[2][0].bn1 = norm.norm  # type: ignore[union-attr, index]


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_unfreeze, "expected this parameter frozen, it is trained"),
        (_freeze, r"layer3\.\S+: expected this parameter trained, it is frozen"),
        (_let_a_norm_learn, r"layer2\.0\.bn1: expected this norm frozen, it is trained"),
    ],
)
def test_parts_in_another_mode_are_refused(harm: Callable[[nn.Module], None], message: str, tmp_path: Path) -> None:
    task, net = TASKS["c4"], _pretrained()
    model = task.model(net, tmp_path)
    harm(model)
    with pytest.raises(UserError, match=message):
        task.report(model, net, RECIPE, 1, 64)
