"""What tasks need to know of a ResNet, timm's or torchvision's: its stages, its classifier, layer4's stride.

A ResNet is what has layer1 to layer4 and a stem before them: ResNet, ResNeXt, Wide ResNet and their SE, ECA, SK, RS,
Res2Net, ResNeSt, anti-aliased and c/d/s/t variants, and timm's legacy SENets (there the stem is `layer0`, the head
`last_linear`).
"""

from typing import Literal, cast

import torch
from torch import Tensor, nn

from core.errors import UserError

STAGES = ("layer1", "layer2", "layer3", "layer4")
StageName = Literal["layer1", "layer2", "layer3", "layer4"]


class Trunk(nn.Module):
    """The convolutional part of a ResNet; shares its modules with the model that it was taken from.

    Attributes:
        stem: image to stride 4, [N, C0, H/4, W/4].
        layer1, layer2, layer3, layer4: the stages, to strides 4, 8, 16 and 32 (16 for a layer4 of stride 1).
        channels: the channels of the four stages' outputs.
    """

    stem: nn.Module
    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module
    layer4: nn.Module
    channels: tuple[int, int, int, int]

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Sequential(*[getattr(model, name) for name in _stem_names(model)])
        for stage in STAGES:
            self.add_module(stage, getattr(model, stage))
        self.channels = _channels(self)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Normalised images [N, 3, H, W] -> the outputs of layer1 to layer4."""
        x = self.stem(images)
        features = []
        for stage in STAGES:
            x = getattr(self, stage)(x)
            features.append(x)
        return features


def trunk(model: nn.Module) -> Trunk:
    """The stages of a ResNet, sharing its modules.

    Raises:
        UserError: the model has no stem or no layer1 to layer4.
    """
    return Trunk(model)


def cut(model: nn.Module, stage: StageName) -> tuple[nn.Sequential, nn.Sequential]:
    """A ResNet classifier as two halves that share its modules: images -> the stage's output, and that -> logits.

    The second one pools globally by the mean; a network with another pooling (timm's `global_pool`) is refused.

    Raises:
        UserError: the model is no ResNet, has no linear head, or pools otherwise.
    """
    head, stem = classifier(model), _stem_names(model)
    pooling = getattr(getattr(model, "global_pool", None), "pool_type", "avg")
    if pooling != "avg":
        raise UserError(f"{type(model).__name__}: expected global average pooling, there is {pooling!r}")
    last = STAGES.index(stage) + 1
    before = [getattr(model, name) for name in (*stem, *STAGES[:last])]
    after = [getattr(model, name) for name in STAGES[last:]]
    return nn.Sequential(*before), nn.Sequential(*after, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


def classifier(model: nn.Module) -> nn.Linear:
    """The last linear layer of a ResNet, logits = fc(pooled features).

    Raises:
        UserError: the model has no such layer.
    """
    head = getattr(model, "fc", getattr(model, "last_linear", None))
    if not isinstance(head, nn.Linear):
        raise UserError(f"{type(model).__name__}: expected a linear classifier `fc`, there is {type(head).__name__}")
    return head


def new_head(model: nn.Module, classes: int) -> None:
    """Replace a ResNet's classifier, in place, by one of `classes` classes, from torch's global generator."""
    reset = getattr(model, "reset_classifier", None)
    if reset is not None:  # timm, which has no linear layer at 0 classes
        reset(classes)
    else:
        model.fc = nn.Linear(classifier(model).in_features, classes)


def layer4_to_stride1(model: nn.Module) -> None:
    """Let layer4 keep the resolution of layer3, in place: maps of 14 x 14 instead of 7 x 7 for images of 224.

    The change of the WSOL protocol (CutMix, section 4.2): stride only, nothing is dilated. In layer4's first block a
    strided convolution, BlurPool or overlapping pool (Res2Net, ResNeSt) gets stride 1; a pool whose windows tile
    (resnet50d's shortcut, resnetaa50) becomes the identity, as timm builds it at stride 1. No tensor changes its
    shape, so weights load before or after.

    Raises:
        UserError: the model has no layer4.
    """
    _stem_names(model)
    block = next(iter(cast(nn.Sequential, model.layer4)))
    for parent in list(block.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d):
                child.stride = (1, 1)
            elif isinstance(child, nn.AvgPool2d | nn.MaxPool2d):
                if _pair(child.kernel_size) == _pair(child.stride):
                    setattr(parent, name, nn.Identity())
                child.stride = 1
            elif hasattr(child, "filt_size") and hasattr(child, "stride"):  # timm's BlurPool2d: same padding there
                child.stride = cast(Tensor, 1)


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _stem_names(model: nn.Module) -> list[str]:
    if hasattr(model, "layer0") and hasattr(model, "pool0"):  # timm's legacy SENets
        names = ["layer0", "pool0"]
    else:
        names = ["conv1", "bn1", "act1" if hasattr(model, "act1") else "relu", "maxpool"]
    absent = [name for name in (*names, *STAGES) if not hasattr(model, name)]
    if absent:
        there = [name for name, _ in model.named_children()]
        raise UserError(
            f"{type(model).__name__}: expected a ResNet with {', '.join(absent)}; it has {', '.join(there)}"
        )
    return names


@torch.no_grad()
def _channels(module: Trunk) -> tuple[int, int, int, int]:
    modes = [(child, child.training) for child in module.modules()]
    parameter = next(module.parameters())
    probe = torch.zeros(1, 3, 64, 64, device=parameter.device, dtype=parameter.dtype)
    module.eval()
    c1, c2, c3, c4 = (features.shape[1] for features in module(probe))
    for child, training in modes:
        child.training = training
    return c1, c2, c3, c4
