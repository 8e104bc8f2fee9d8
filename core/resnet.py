"""What tasks need to know of a ResNet, timm's or torchvision's: its stages, its classifier, layer4's stride."""

from typing import cast

import torch
from torch import Tensor, nn

from core.errors import UserError

STAGES = ("layer1", "layer2", "layer3", "layer4")


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
        UserError: the model has no conv1, bn1, layer1 to layer4.
    """
    return Trunk(model)


def classifier(model: nn.Module) -> nn.Linear:
    """The last linear layer of a ResNet, logits = fc(pooled features).

    Raises:
        UserError: the model has no such layer.
    """
    head = getattr(model, "fc", None)
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
    strided convolution or BlurPool gets stride 1, and a pooling shortcut (resnet50d) becomes the identity; no tensor
    changes its shape, so weights load before or after.
    """
    block = next(iter(cast(nn.Sequential, model.layer4)))
    for parent in list(block.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d):
                child.stride = (1, 1)
            elif isinstance(child, nn.AvgPool2d | nn.MaxPool2d) and child.stride not in (1, (1, 1)):
                setattr(parent, name, nn.Identity())
            elif hasattr(child, "filt_size") and hasattr(
                child, "stride"
            ):  # timm's BlurPool2d: same padding at stride 1
                child.stride = cast(Tensor, 1)


def _stem_names(model: nn.Module) -> list[str]:
    activation = "act1" if hasattr(model, "act1") else "relu"
    names = ["conv1", "bn1", activation, "maxpool"]
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
