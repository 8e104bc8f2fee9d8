"""The anchors of Faster R-CNN's proposals."""

from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator


class Anchors(AnchorGenerator):  # type: ignore[misc]  # torchvision is not typed
    """torchvision's anchors, always in float32.

    torchvision's take the maps' precision: under autocast to bfloat16, which tells pixels of 512 to 1024 apart by 4,
    anchors are moved and resized.
    """

    def forward(self, image_list: Any, feature_maps: list[Tensor]) -> list[Tensor]:
        """Anchors [A, 4] (pixels) of each image of an ImageList, on maps [N, C, H, W]."""
        one = torch.empty(1, device=feature_maps[0].device)  # no map's numbers are looked at, only its shape
        found: list[Tensor] = super().forward(image_list, [one.expand(maps.shape) for maps in feature_maps])
        return found
