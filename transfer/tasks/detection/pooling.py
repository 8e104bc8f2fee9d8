"""Regions pooled from one map or from the levels of a pyramid (RoI align: He et al., arXiv 1703.06870, section 3)."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import roi_align


class RegionAlign(nn.Module):
    """RoI align whose strides are given, not guessed.

    torchvision's MultiScaleRoIAlign infers the strides from the first batch that it sees and keeps them, so that a
    first batch of small images can spoil a run; and it has no `aligned`.

    Args:
        strides: of the maps to pool from, by name, the finest first; each twice the one before (pixels).
        size: cells on a region's side.
        sampling_ratio: samples on a cell's side; 0: as many as the region has pixels of the map there.
        aligned: count from pixels' centres, as detectron2's ROIAlignV2.
        memory_format: of the regions; channels-last where convolutions read them, else each would convert them anew.
        canonical_side: side (pixels) of a region that is pooled from stride 16; half the side, the next finer map
            (Lin et al., arXiv 1612.03144, eq. 1, with 224).
    """

    def __init__(
        self,
        strides: Mapping[str, int],
        size: int,
        *,
        sampling_ratio: int,
        aligned: bool,
        memory_format: torch.memory_format = torch.contiguous_format,
        canonical_side: int = 224,
    ):
        super().__init__()
        self.memory_format = memory_format
        self.strides, self.size = dict(strides), (size, size)
        self.sampling_ratio, self.aligned, self.canonical_side = sampling_ratio, aligned, canonical_side

    def forward(self, maps: Mapping[str, Tensor], boxes: Sequence[Tensor], image_shapes: object = None) -> Tensor:
        """Regions [R, C, size, size] of boxes [R_i, 4] (pixels) of each image; their level depends on their area.

        Args:
            maps: [N, C, H/s, W/s] by name. boxes: one tensor an image. image_shapes: not used.
        """
        counts = torch.cat([box.new_full((len(box), 1), float(i)) for i, box in enumerate(boxes)])
        regions = torch.cat([counts, torch.cat(list(boxes))], 1)  # [R, 5]: image, x0, y0, x1, y1
        if len(self.strides) == 1:
            ((name, stride),) = self.strides.items()
            return self._pool(maps[name], regions, stride)
        levels = self._levels(regions[:, 1:])
        first = maps[next(iter(self.strides))]
        pooled = first.new_zeros(len(regions), first.shape[1], *self.size)
        for level, (name, stride) in enumerate(self.strides.items()):
            here = torch.where(levels == level)[0]
            pooled[here] = self._pool(maps[name], regions[here], stride).to(pooled.dtype)
        return pooled

    def _pool(self, one: Tensor, regions: Tensor, stride: int) -> Tensor:
        # Where the map has few bits (autocast), boxes must not: bfloat16 cannot tell pixel 600 from 602.
        found: Tensor = roi_align(
            one.to(regions.dtype),
            regions,
            self.size,
            spatial_scale=1 / stride,
            sampling_ratio=self.sampling_ratio,
            aligned=self.aligned,
        )
        return found.to(one.dtype, memory_format=self.memory_format)

    def _levels(self, boxes: Tensor) -> Tensor:
        """The position in `strides` of each box [R, 4]."""
        strides = list(self.strides.values())
        side = ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sqrt()
        level = torch.floor(4 + torch.log2(side / self.canonical_side) + 1e-6)  # 4: log2 of stride 16
        low, high = math.log2(strides[0]), math.log2(strides[-1])
        return (level.clamp(low, high) - low).long()
