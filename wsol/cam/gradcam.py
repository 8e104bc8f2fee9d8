"""Grad-CAM: features weighed by the mean gradient of their channel.

Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017,
arXiv 1610.02391, eq. (1) and (2). Clipped: what speaks against the class is 0 (the paper's ReLU). On layer4 of a
network with global average pooling and a linear head it is ReLU(CAM) / (h w).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wsol.cam.base import GradientCAM

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class GradCAM(GradientCAM):
    """``ReLU(sum over c of mean(gradient[c]) * feature[c, y, x])``."""

    def combine(self, features: "Tensor", gradients: "Tensor") -> "Tensor":
        """See `GradientCAM.combine`."""
        weights = gradients.mean((2, 3), keepdim=True)  # [N, C, 1, 1]
        return (weights * features).sum(1).clamp_min(0)
