"""The seam of every class activation mapping: a network, images and one class each give one score map each.

N images, K classes, C channels; [h, w] is the size of the feature map that a method reads, not that of the image.
Whoever asks for k classes of each image at once gets k maps of each, for one pass through the network: classes [N, k]
-> scores [N, k, h, w].

A new method is one file here: a frozen dataclass whose fields all have defaults. Torch is imported only where it is
used, so that what needs no network (the evaluator) starts without it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor, nn

    Choose = Callable[[Tensor], Tensor]
    """Logits [N, K] -> the class of each map, [N] int64; or of k maps of each image, [N, k]."""
    Explain = Callable[[Tensor, Choose], "Maps"]
    """Normalised images [N, 3, H, W] and the choice of classes -> their maps."""

Layer = Literal["layer1", "layer2", "layer3", "layer4"]
"""A stage of a ResNet, whose output a method reads."""


@dataclass(frozen=True)
class Maps:
    """What one batch gives."""

    scores: "Tensor"
    """[N, h, w] float32: how much each place speaks for the chosen class; any range, not normalised. [N, k, h, w] where
    k classes of each image were chosen."""
    logits: "Tensor"
    """[N, K]: the network's classification."""


@dataclass(frozen=True)
class CAM(ABC):
    """A way of asking a classifier where it sees a class."""

    @abstractmethod
    def bind(self, network: "nn.Module") -> "Explain":
        """Prepare for a ResNet classifier in eval mode, once; the function that is returned is called per batch.

        Raises:
            UserError: the network is not a ResNet with global average pooling and a linear head.
        """


@dataclass(frozen=True)
class GradientCAM(CAM):
    """A method that weighs a stage's features by the gradient of the chosen class's logit.

    The trunk up to that stage runs without gradients; only what comes after it is differentiated (for layer4 pooling
    and head), with respect to the features alone: weights get none. That part runs in float32 under autocast too,
    since float16 loses gradients as small as these (a weight divided by the places of the map).
    """

    layer: Layer = "layer4"
    """The stage whose output is read: the earlier, the finer the map, and the less it knows of the class."""

    def bind(self, network: "nn.Module") -> "Explain":
        """See `CAM.bind`."""
        import torch

        from core.resnet import cut

        before, after = (half.eval() for half in cut(network, self.layer))

        def explain(images: "Tensor", choose: "Choose") -> Maps:
            with torch.no_grad():
                features = before(images).float()  # [N, C, h, w]
            with torch.enable_grad(), torch.autocast(images.device.type, enabled=False):
                logits = after(features.requires_grad_())

            def score(classes: "Tensor") -> "Tensor":
                chosen = torch.nn.functional.one_hot(classes, logits.shape[1]).to(logits)  # [N, K]
                (gradients,) = torch.autograd.grad(logits, features, chosen, retain_graph=True)
                return self.combine(features.detach(), gradients)

            return Maps(per_class(choose(logits.detach()), score), logits.detach())

        return explain

    @abstractmethod
    def combine(self, features: "Tensor", gradients: "Tensor") -> "Tensor":
        """Features and the logit's gradients with respect to them, both [N, C, h, w] -> scores [N, h, w]."""


def per_class(classes: "Tensor", score: "Callable[[Tensor], Tensor]") -> "Tensor":
    """Scores of the classes [N], or of each column of the classes [N, k]; `score` gives [N, h, w] for classes [N]."""
    import torch

    return score(classes) if classes.ndim == 1 else torch.stack([score(column) for column in classes.unbind(1)], 1)
