"""What the detectron2 engine does without detectron2: names, shapes, and the message when it is absent."""

import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import nn

from core import backbone as backbones
from core.backbone import Spec
from core.errors import UserError
from transfer.tasks.detection.detectron2.available import INSTALL_PAGE, require
from transfer.tasks.detection.detectron2.names import converted, detectron2_name
from transfer.tasks.detection.detectron2.shape import ResNetShape, StageShape, describe
from transfer.tasks.faster_rcnn import FasterRCNN

# Written down from detectron2's own classes (`modeling/backbone/resnet.py`), not from our code.
NAMES = {
    "conv1.weight": "stem.conv1.weight",
    "bn1.weight": "stem.conv1.norm.weight",
    "bn1.running_var": "stem.conv1.norm.running_var",
    "layer1.0.conv1.weight": "res2.0.conv1.weight",
    "layer1.0.bn3.bias": "res2.0.conv3.norm.bias",
    "layer2.0.downsample.0.weight": "res3.0.shortcut.weight",
    "layer2.0.downsample.1.running_mean": "res3.0.shortcut.norm.running_mean",
    "layer3.22.conv2.weight": "res4.22.conv2.weight",
    "layer4.2.bn2.num_batches_tracked": "res5.2.conv2.norm.num_batches_tracked",
}


@pytest.mark.parametrize(("ours", "theirs"), NAMES.items())
def test_a_tensor_has_detectron2s_name(ours: str, theirs: str) -> None:
    assert detectron2_name(ours) == theirs


def test_the_classifier_has_no_name_there() -> None:
    assert detectron2_name("fc.weight") is None
    assert detectron2_name("fc.bias") is None


@pytest.mark.parametrize(
    "name",
    [
        "conv1.0.weight",
        "layer1.0.se.fc1.weight",
        "layer2.0.downsample.2.weight",
        "layer5.0.conv1.weight",
        "head.weight",
    ],
)
def test_a_name_that_no_plain_resnet_has_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=name):
        detectron2_name(name)


def test_a_whole_network_is_converted_without_loss() -> None:
    """ResNet-50: 53 convolutions and 53 norms of 4 tensors and a counter; the classifier's two stay behind."""
    with torch.device("meta"):
        state = torchvision.models.resnet50().state_dict()
    plain, counted = converted(state, counters=False), converted(state, counters=True)
    assert len(plain) == 53 + 53 * 4
    assert len(counted) == 53 + 53 * 5 == len(state) - 2
    assert {name.partition(".")[0] for name in plain} == {"stem", "res2", "res3", "res4", "res5"}
    assert sum(tensor.numel() for tensor in plain.values()) == 25_557_032 - 2_049_000 + 2 * 26_560  # and the statistics


def stages(blocks: tuple[int, ...], width: int, channels: int, groups: int = 1) -> tuple[StageShape, ...]:
    return tuple(StageShape(n, width << i, channels << i, groups, 1 if i == 0 else 2) for i, n in enumerate(blocks))


SHAPES = {
    "timm:resnet18": ResNetShape(False, 64, stages((2, 2, 2, 2), 64, 64)),
    "torchvision:resnet34": ResNetShape(False, 64, stages((3, 4, 6, 3), 64, 64)),
    "timm:resnet50": ResNetShape(True, 64, stages((3, 4, 6, 3), 64, 256)),
    "torchvision:resnet101": ResNetShape(True, 64, stages((3, 4, 23, 3), 64, 256)),
    "timm:resnet152": ResNetShape(True, 64, stages((3, 8, 36, 3), 64, 256)),
    "timm:resnext50_32x4d": ResNetShape(True, 64, stages((3, 4, 6, 3), 128, 256, 32)),
    "torchvision:wide_resnet50_2": ResNetShape(True, 64, stages((3, 4, 6, 3), 128, 256)),
}


def network(name: str, **kwargs: Any) -> nn.Module:
    """A network without memory for its weights."""
    with torch.device("meta"):
        return backbones.build(Spec(name, 10, 64, kwargs))


@pytest.mark.parametrize(("name", "shape"), SHAPES.items())
def test_the_plain_family_is_recognised(name: str, shape: ResNetShape) -> None:
    assert describe(network(name)) == shape


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("timm:test_resnet", "stem.conv1 is a Sequential"),
        ("timm:resnet26d", "stem.conv1 is a Sequential"),
        ("timm:seresnet50", r"layer1.0.se is a SEModule"),
        ("timm:resnetblur50", "stem|layer2.0.aa"),
        ("timm:ecaresnet50t", "stem.conv1"),
        ("timm:resnet50_gn", "BatchNorm2d with eps 1e-05"),
    ],
)
def test_what_detectron2_has_no_class_for_is_refused_with_its_reason(name: str, why: str) -> None:
    with pytest.raises(UserError, match=f"detectron2 has no class for this network: .*({why})"):
        describe(timm.create_model(name.partition(":")[2], num_classes=10))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda m: setattr(m.layer2[0].conv2, "stride", (1, 1)), "layer2.0.conv2"),
        (lambda m: setattr(m.layer4[1].conv2, "dilation", (2, 2)), "layer4.1.conv2"),
        (lambda m: setattr(m.bn1, "eps", 1e-3), "stem.bn1"),
        (lambda m: setattr(m, "maxpool", nn.AvgPool2d(3, 2, 1)), "max pooling"),
        (lambda m: setattr(m.layer1[0], "act3", nn.GELU()), "layer1.0.act3 is a GELU"),
        (lambda m: setattr(m.layer3[0], "downsample", None), "layer3.0 has no projection"),
    ],
)
def test_one_module_that_differs_is_named(change: Any, why: str) -> None:
    model = network("timm:resnet50")
    change(model)
    with pytest.raises(UserError, match=why):
        describe(model)


def test_where_detectron2_is_absent_the_message_names_its_installation_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "detectron2", None)  # makes its import fail, installed or not
    with pytest.raises(UserError, match=f"Installation.*{INSTALL_PAGE}"):
        require()
    with pytest.raises(UserError, match="Installation"):
        FasterRCNN(engine="detectron2").check(Path("nowhere"))


@pytest.mark.parametrize(
    ("line", "why"),
    [("raise ImportError('undefined symbol')", "undefined symbol"), ("import PIL.Image; PIL.Image.OLD", "'OLD'")],
)
def test_one_that_does_not_work_here_is_refused_with_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, why: str
) -> None:
    """Built for another torch; written for another Pillow."""
    package = tmp_path / "detectron2"
    package.mkdir()
    (package / "__init__.py").write_text("__version__ = '0.6'\n")
    (package / "_C.py").write_text(f"{line}\n")
    for name in [name for name in sys.modules if name.partition(".")[0] == "detectron2"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    try:
        with pytest.raises(UserError, match=f"{why}.*Installation"):
            require()
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "detectron2"]:
            del sys.modules[name]
