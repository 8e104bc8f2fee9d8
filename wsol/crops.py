"""From a split's image files to a network's input, and from its score maps to the size that is wanted.

N images, S = the crop's side in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.data.images import read_rgb
from core.data.records import ImageRecord
from core.images import to_tensor
from wsol.geometry import Geometry


class Batch(NamedTuple):
    """Crops, and where they lie in their images."""

    pixels: Tensor
    """[N, 3, S, S] uint8."""
    indices: Tensor
    """[N] int64: which records these are."""
    sizes: Tensor
    """[N, 2] int64: width and height of the image in the pixels of its annotation."""
    windows: Tensor
    """[N, 4] float64: what the crop covers, x0, y0, x1, y1 in those pixels."""


Sample = tuple[Tensor, int, tuple[int, int], tuple[float, float, float, float]]


@dataclass(frozen=True)
class Crops:
    """The crops of some images."""

    records: Sequence[ImageRecord]
    geometry: Geometry

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.records)

    def sample(self, index: int) -> Sample:
        """One crop [3, S, S] uint8, its index, its image's size and its window. DataError: a file cannot be read."""
        record = self.records[index]
        image = read_rgb(record.path)
        size = record.size or image.size
        return to_tensor(self.geometry.prepare(image)), index, size, self.geometry.window(image.size, size)


def collate(samples: list[Sample]) -> Batch:
    """Samples to a batch."""
    pixels, indices, sizes, windows = zip(*samples, strict=True)
    return Batch(
        torch.stack(pixels), torch.tensor(indices), torch.tensor(sizes), torch.tensor(windows, dtype=torch.float64)
    )


def upsample(scores: Tensor, side: int) -> Tensor:
    """Score maps [N, h, w] -> [N, side, side], bilinear; the map's cells tile the image (corners not aligned)."""
    return functional.interpolate(scores[:, None], size=(side, side), mode="bilinear", align_corners=False)[:, 0]
