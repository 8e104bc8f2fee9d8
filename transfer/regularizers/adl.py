"""ADL: where a layer attends most is dropped, or its attention is pressed upon it, one or the other in each batch.

Source: Choe & Shim, "Attention-based Dropout Layer for Weakly Supervised Object Localization", CVPR 2019, arXiv
1908.10028, sec. 3. The layer's semantics and its places in ResNet-50 are those of wsolevaluation's
`wsol/method/adl.py` and `wsol/resnet.py` (`_ADL_POSITION`; commit 96f4b88), and so are the defaults: those of that
layer's class. The drop rate is .75 in its command line too, and in the authors' own script for ResNet-50-SE on CUB
(`run_train.sh` of junsukchoe/ADL, commit 1779e55: a keep rate of .25); but both of these have .9 as the threshold.

[N, C, H, W]: the output of a block, after its ReLU.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.errors import UserError
from transfer.regularizers.base import Regularizer


@dataclass(frozen=True)
class ADL(Regularizer):
    """Multiply features by a drop mask or by an importance map, made of their own mean over channels."""

    drop_rate: float = 0.75
    """Probability, in each batch and at each place, that the drop mask is taken and not the importance map."""
    threshold: float = 0.8
    """Share of an image's largest attention from which on a cell is dropped (the paper's gamma)."""
    after: tuple[str, ...] = ("layer3.0", "layer4.0", "layer4.2")
    """The blocks whose outputs are regularized, by their names in the network (`layer4.0` is layer4's first block)."""

    def __post_init__(self) -> None:
        """Check the fields."""
        for name, value in (("drop_rate", self.drop_rate), ("threshold", self.threshold)):
            if not 0.0 <= value <= 1.0:
                raise UserError(f"regularizer.{name} must lie in [0, 1], got {value}")
        if not self.after:
            raise UserError("regularizer.after: expected at least one block, such as 'layer4.0'")

    def attach(self, network: nn.Module) -> None:
        """Hook the outputs of the blocks `after`."""
        modules = dict(network.named_modules())
        if absent := [name for name in self.after if name not in modules]:
            blocks = [name for name in modules if name.startswith("layer") and name.count(".") == 1]
            raise UserError(
                f"regularizer.after: {type(network).__name__} has no {', '.join(absent)}; its blocks are "
                f"{', '.join(blocks) or 'none'}"
            )
        for name in self.after:
            modules[name].register_forward_hook(self._hook)

    def _hook(self, block: nn.Module, _: object, features: Tensor) -> Tensor:
        if not block.training:
            return features
        drop = float(torch.rand(())) < self.drop_rate
        return features * (drop_mask(features, self.threshold) if drop else importance_map(features))


def drop_mask(features: Tensor, threshold: float) -> Tensor:
    """[N, C, H, W] -> [N, 1, H, W] of 0 where the mean over channels reaches `threshold` of its maximum, else 1."""
    attention = features.mean(dim=1, keepdim=True)
    return (attention < threshold * attention.amax(dim=(2, 3), keepdim=True)).to(features.dtype)


def importance_map(features: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, 1, H, W]: the sigmoid of the mean over channels; gradients flow through it."""
    return features.mean(dim=1, keepdim=True).sigmoid()
