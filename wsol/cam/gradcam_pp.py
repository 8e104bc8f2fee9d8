"""Grad-CAM++: features weighed by their channel's positive gradients, place by place made comparable.

Source: Chattopadhyay et al., "Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep Convolutional
Networks", WACV 2018, arXiv 1710.11063, eq. (5), (10) and (19), with Y = exp(logit): then the second and third
derivatives are powers of the gradient g, alpha = g^2 / (2 g^2 + sum(feature) g^3) = 1 / (2 + sum(feature) g), and the
factor exp(logit) of the weights is one number an image, left out here (it overflows and changes no map's shape).
Places where 2 + sum(feature) g is not positive (only below activations other than ReLU) get alpha 0. Clipped: the map
is a ReLU, as the paper's.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsol.cam.base import GradientCAM

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class GradCAMPlusPlus(GradientCAM):
    """``ReLU(sum over c of weight[c] * feature[c, y, x])``, weight = sum over places of ``alpha * ReLU(gradient)``."""

    def combine(self, features: "Tensor", gradients: "Tensor") -> "Tensor":
        """See `GradientCAM.combine`."""
        denominator = 2 + features.sum((2, 3), keepdim=True) * gradients  # [N, C, h, w]
        alpha = (denominator > 0) / denominator.clamp_min(1e-12)
        weights = (alpha * gradients.clamp_min(0)).sum((2, 3), keepdim=True)
        return (weights * features).sum(1).clamp_min(0)
