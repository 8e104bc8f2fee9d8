"""Which parts of a backbone stay as pretraining left them: parameters, and the statistics of BatchNorm."""

from torch import Tensor, nn

from core.resnet import Trunk


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
