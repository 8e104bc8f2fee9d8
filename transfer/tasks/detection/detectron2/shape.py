"""Which of detectron2's ResNets a network is: read from its modules, without detectron2.

detectron2's classes (`modeling/backbone/resnet.py`, commit 02b5c4e) know the plain family alone: a 7 x 7 stem, basic or
bottleneck blocks with the stride in the first 3 x 3 convolution, a projection where the channels change. That is timm's
and torchvision's resnet18 to 152, resnext and wide_resnet; a deep stem, average pooling in the shortcut, squeeze and
excitation, anti-aliasing or stochastic depth is none of it.
"""

from dataclasses import dataclass
from typing import cast

from torch import nn

from core.errors import UserError
from core.resnet import STAGES

EPS, MOMENTUM = 1e-5, 0.1  # of every BatchNorm in detectron2
_ACTIVATIONS = ("relu", "act1", "act2", "act3")


@dataclass(frozen=True)
class StageShape:
    """One stage."""

    blocks: int
    width: int
    """Channels of its 3 x 3 convolutions."""
    channels: int
    """Of its output."""
    groups: int
    stride: int
    """Of its first block; the others have 1."""


@dataclass(frozen=True)
class ResNetShape:
    """A network that detectron2's ResNet can be told to be."""

    bottleneck: bool
    """Blocks of three convolutions, else of two."""
    stem: int
    """Channels of the 7 x 7 convolution."""
    stages: tuple[StageShape, ...]
    """layer1 to layer4."""


def describe(model: nn.Module) -> ResNetShape:
    """The shape of a timm or torchvision ResNet.

    Raises:
        UserError: detectron2 has no class for this network; the message says where it differs.
    """
    stem = _conv(model, "conv1", 7, 2)
    _norm(model, "bn1")
    _relu(model, "act1" if hasattr(model, "act1") else "relu", "stem")
    pool = getattr(model, "maxpool", None)
    if not isinstance(pool, nn.MaxPool2d) or _pool(pool) != (3, 2, 1, 1, False):
        raise _differs("the stem's max pooling is not 3 x 3 at stride 2")
    bottleneck = hasattr(cast(nn.Sequential, model.layer1)[0], "conv3")
    stages: list[StageShape] = []
    before = stem.out_channels
    for name in STAGES:
        stages.append(_stage(name, cast(nn.Sequential, getattr(model, name)), before, bottleneck=bottleneck))
        before = stages[-1].channels
    return ResNetShape(bottleneck, stem.out_channels, tuple(stages))


def _stage(name: str, stage: nn.Sequential, channels: int, *, bottleneck: bool) -> StageShape:
    stride = 1 if name == "layer1" else 2
    found: StageShape | None = None
    for i, block in enumerate(stage):
        where, step = f"{name}.{i}", stride if i == 0 else 1
        one = _block(where, block, channels, step, bottleneck=bottleneck)
        if found is not None and (one.width, one.channels, one.groups) != (found.width, found.channels, found.groups):
            raise _differs(f"{where} has other widths than the block before it")
        found, channels = found or one, one.channels
    assert found is not None
    return StageShape(len(stage), found.width, found.channels, found.groups, stride)


def _block(where: str, block: nn.Module, channels: int, stride: int, *, bottleneck: bool) -> StageShape:
    """One block as a stage of its own."""
    spatial, last = ("conv2", "conv3") if bottleneck else ("conv1", "conv2")
    kernels = {"conv1": 1, "conv2": 3, "conv3": 1} if bottleneck else {"conv1": 3, "conv2": 3}
    known = {*kernels, *(f"bn{name[-1]}" for name in kernels), *_ACTIVATIONS, "downsample"}
    for name, child in block.named_children():
        if name not in known and not isinstance(child, nn.Identity):
            raise _differs(f"{where}.{name} is a {type(child).__name__}")
    convs = {name: _conv(block, name, k, stride if name == spatial else 1, where) for name, k in kernels.items()}
    for name in kernels:
        _norm(block, f"bn{name[-1]}", where)
    for name in _ACTIVATIONS:
        if hasattr(block, name):
            _relu(block, name, where)
    middle, out = convs[spatial], convs[last].out_channels
    if not bottleneck and middle.groups != 1:
        raise _differs(f"{where} is a basic block with groups")
    shortcut = getattr(block, "downsample", None)
    if (shortcut is not None) != (channels != out):
        raise _differs(f"{where} has {'a' if shortcut is not None else 'no'} projection from {channels} to {out}")
    if shortcut is not None:
        if [name for name, child in shortcut.named_children() if not isinstance(child, nn.Identity)] != ["0", "1"]:
            raise _differs(f"{where}.downsample is more than a convolution and its norm")
        _conv(shortcut, "0", 1, stride, f"{where}.downsample")
        _norm(shortcut, "1", f"{where}.downsample")
    return StageShape(1, middle.out_channels, out, middle.groups, stride)


def _conv(parent: nn.Module, name: str, kernel: int, stride: int, where: str = "stem") -> nn.Conv2d:
    conv = getattr(parent, name, None)
    if type(conv) is not nn.Conv2d:
        raise _differs(f"{where}.{name} is a {type(conv).__name__}, not one convolution")
    got = (conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.bias is None, conv.padding_mode)
    if got != ((kernel,) * 2, (stride,) * 2, (kernel // 2,) * 2, (1, 1), True, "zeros"):
        raise _differs(f"{where}.{name} is {conv}; there it is {kernel} x {kernel} at stride {stride} without bias")
    return conv


def _norm(parent: nn.Module, name: str, where: str = "stem") -> None:
    norm = getattr(parent, name, None)
    if type(norm) is not nn.BatchNorm2d or (norm.eps, norm.momentum, norm.affine) != (EPS, MOMENTUM, True):
        raise _differs(f"{where}.{name} is {norm}; there it is BatchNorm2d with eps {EPS:g} and momentum {MOMENTUM:g}")


def _relu(parent: nn.Module, name: str, where: str) -> None:
    if type(getattr(parent, name, None)) is not nn.ReLU:
        raise _differs(f"{where}.{name} is a {type(getattr(parent, name, None)).__name__}, not ReLU")


def _pool(pool: nn.MaxPool2d) -> tuple[object, ...]:
    return pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode


def _differs(what: str) -> UserError:
    return UserError(f"detectron2 has no class for this network: {what}")
