"""Which parts of a backbone stay as pretraining left them: parameters, and the statistics of BatchNorm."""

from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor, nn

from core.resnet import Trunk

NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)
"""What counts as a norm where weight decay asks."""


class FrozenNorm(nn.Module):
    """A BatchNorm layer (or timm's BatchNorm with activation) that stays in evaluation mode under `model.train()`."""

    def __init__(self, norm: nn.Module):
        super().__init__()
        self.norm = norm.requires_grad_(False)
        super().train(False)

    def train(self, mode: bool = True) -> "FrozenNorm":
        """Nothing: the statistics remain those of pretraining."""
        return self

    def forward(self, x: Tensor) -> Tensor:
        """The norm with its running statistics."""
        out: Tensor = self.norm(x)
        return out


def freeze(body: Trunk, parts: int, *, norms: bool) -> None:
    """Fix the first `parts` of stem, layer1, ..., layer4: their parameters, and the statistics of their norms.

    Args:
        body: changed in place.
        parts: 0 to 5.
        norms: freeze the norms of the other parts as well.
    """
    for i, part in enumerate((body.stem, body.layer1, body.layer2, body.layer3, body.layer4)):
        if i < parts:
            part.requires_grad_(False)
        if i < parts or norms:
            _freeze_norms(part)


def _freeze_norms(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            setattr(module, name, FrozenNorm(child))
        elif not isinstance(child, FrozenNorm):
            _freeze_norms(child)


def precise(model: nn.Module, forwards: Iterable[Callable[[], object]]) -> None:
    """Take the statistics of trained BatchNorms anew, as means over batches of their means and variances.

    Wu and Johnson, arXiv 2105.07576, section 3; detectron2 does it with fvcore's update_bn_stats. Frozen norms keep
    theirs, and the weights are not touched.

    Args:
        model: changed in place, its mode put back.
        forwards: each runs the model on one training batch; nothing runs where the model has no trained norm.
    """
    mode = model.training
    model.train()
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    norms = [norm for norm in norms if norm.track_running_stats]
    if norms:
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = cast(float, None)  # torch then keeps a plain mean
        with torch.no_grad():
            for forward in forwards:
                forward()
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    model.train(mode)
