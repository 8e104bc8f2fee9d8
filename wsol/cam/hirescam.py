"""HiResCAM: features times gradients, place by place; unlike Grad-CAM it shows only what the score was made of.

Source: Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural
networks", arXiv 2011.08891, section 3. Not clipped: the map sums to what the features contribute to the logit where all
after them is linear. On layer4 of a network with global average pooling and a linear head it is CAM / (h w).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsol.cam.base import GradientCAM

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class HiResCAM(GradientCAM):
    """``sum over c of gradient[c, y, x] * feature[c, y, x]``."""

    def combine(self, features: "Tensor", gradients: "Tensor") -> "Tensor":
        """See `GradientCAM.combine`."""
        return (gradients * features).sum(1)
