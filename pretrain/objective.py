"""What a training step does with a batch: normalise, mix, run the network, score it against the mixed labels.

`batch -> mixing -> network -> soft-target loss`; nothing here names a method.
"""

import torch
from torch import Tensor, nn

from core.backbone import Spec
from core.images import normalize
from core.mixing import Mixing
from core.targets import soft_cross_entropy


class Objective:
    """The loss of a classifier that is trained with a mixing."""

    def __init__(self, mixing: Mixing, spec: Spec) -> None:
        """mixing: the method. spec: whose mean and standard deviation the images are normalised by."""
        self.mixing, self.spec = mixing, spec

    def __call__(
        self, model: nn.Module, batch: tuple[Tensor, Tensor], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean loss in nats of a batch (pixels [N, 3, S, S], labels [N]), and numbers worth showing."""
        pixels, labels = batch
        images = normalize(pixels, self.spec.mean, self.spec.std)
        draw = self.mixing.draw(images.shape, generator)
        logits = model(self.mixing.apply(images, draw))
        return soft_cross_entropy(logits, self.mixing.targets(labels, draw)), {}
