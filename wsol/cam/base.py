"""The seam of every class activation mapping: a network, images and one class each give one score map each.

N images, K classes, C channels; [h, w] is the size of the feature map that a method reads, not that of the image.
A new method is one file here: a frozen dataclass whose fields all have defaults. Torch is imported only where it is
used, so that what needs no network (the evaluator) starts without it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

    Choose = Callable[[Tensor], Tensor]
    """Logits [N, K] -> the class of each map, [N] int64."""
    Explain = Callable[[Tensor, Choose], "Maps"]
    """Normalised images [N, 3, H, W] and the choice of classes -> their maps."""


@dataclass(frozen=True)
class Maps:
    """What one batch gives."""

    scores: "Tensor"
    """[N, h, w] float32: how much each place speaks for the chosen class; any range, not normalised."""
    logits: "Tensor"
    """[N, K]: the network's classification."""


@dataclass(frozen=True)
class CAM(ABC):
    """A way of asking a classifier where it sees a class."""

    @abstractmethod
    def bind(self, network: "nn.Module") -> "Explain":
        """Prepare for a ResNet classifier in eval mode, once; the function that is returned is called per batch.

        Raises:
            UserError: the network is not a ResNet with a linear head.
        """
