"""XGrad-CAM: features weighed by their channel's gradients, averaged with the features themselves as weights.

Source: Fu et al., "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs", BMVC 2020, arXiv
2008.02312, eq. (8). A channel whose features sum to 0 gets weight 0. Clipped (ReLU), as the authors' code does.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsol.cam.base import GradientCAM

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class XGradCAM(GradientCAM):
    """``ReLU(sum over c of weight[c] * feature[c, y, x])``, weight = sum of ``gradient * feature / sum(feature)``."""

    def combine(self, features: "Tensor", gradients: "Tensor") -> "Tensor":
        """See `GradientCAM.combine`."""
        total = features.sum((2, 3), keepdim=True)  # [N, C, 1, 1]
        weights = (gradients * features).sum((2, 3), keepdim=True) / total.where(total != 0, 1)
        return (weights * features).sum(1).clamp_min(0)
