"""The anchors of Faster R-CNN's proposals (Ren et al., arXiv 1506.01497, section 3.1.1)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

RATIOS = (0.5, 1.0, 2.0)
"""Of every anchor, height to width."""


class Anchors(nn.Module):
    """Boxes of every side and ratio at each place of each map, as detectron2's DefaultAnchorGenerator has them.

    torchvision's generator differs in three ways. It takes a map's stride as the padded image's side by the map's,
    whole: 61 instead of 64 for a pyramid's last map of 800 pixels, 15 instead of 16 for C4's of 150. It rounds anchors
    to pixels. It makes them in the maps' precision: bfloat16 tells pixels of 512 to 1024 apart by 4.

    Args:
        sizes: sides (pixels) of the anchors of each map; one has a side's square as area in every ratio.
        strides: of the maps (pixels).
    """

    def __init__(self, sizes: Sequence[Sequence[float]], strides: Sequence[int]):
        super().__init__()
        self.sizes, self.strides = tuple(map(tuple, sizes)), tuple(strides)
        for i, sides in enumerate(self.sizes):
            shapes = [(side / ratio**0.5, side * ratio**0.5) for side in sides for ratio in RATIOS]
            cell = torch.tensor([(-width / 2, -height / 2, width / 2, height / 2) for width, height in shapes])
            self.register_buffer(f"cell{i}", cell, persistent=False)

    def num_anchors_per_location(self) -> list[int]:
        """Anchors at a place of each map; torchvision's name."""
        return [len(sides) * len(RATIOS) for sides in self.sizes]

    def forward(self, images: Any, maps: Sequence[Tensor]) -> list[Tensor]:
        """Anchors [A, 4] (x0, y0, x1, y1 in pixels) of each image, by map, row, column, then side and ratio.

        Args:
            images: an ImageList. maps: [N, C, H/s, W/s], the finest first.
        """
        found = []
        for i, (one, stride) in enumerate(zip(maps, self.strides, strict=True)):
            cell: Tensor = getattr(self, f"cell{i}")
            rows, columns = (torch.arange(side, device=cell.device) * stride for side in one.shape[-2:])
            y, x = torch.meshgrid(rows, columns, indexing="ij")
            places = torch.stack([x, y, x, y], -1).flatten(0, 1)  # [places, 4]
            found.append((places[:, None] + cell).flatten(0, 1))
        return [torch.cat(found)] * len(images.image_sizes)
