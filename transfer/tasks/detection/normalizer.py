"""Images as they come, to the batch that torchvision's detectors work on."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from core.normalize import normalize


class Normalizer(nn.Module):
    """Stands where torchvision's detectors resize and normalise: takes uint8 images at their final size.

    torchvision's own transform would enlarge small images to a short side of 800 unless told otherwise. Images are
    padded with zeros after normalisation, to the largest of the batch rounded up to a multiple of `divisor`.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], divisor: int):
        super().__init__()
        self.mean, self.std, self.divisor = tuple(mean), tuple(std), divisor

    def forward(self, images: Sequence[Tensor], targets: Any = None) -> tuple[Any, Any]:
        """Images [3, H, W] uint8 to one ImageList [N, 3, H', W'] of floats, channels-last; targets as they are."""
        sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
        height, width = (max(side) for side in zip(*sizes, strict=True))
        up = [-(-side // self.divisor) * self.divisor for side in (height, width)]
        if set(sizes) == {(up[0], up[1])}:
            return ImageList(normalize(torch.stack(list(images)), self.mean, self.std), sizes), targets
        # All at once, then zeros where no image is: one pass of the kernel that the other tasks use.
        pixels = torch.zeros(len(images), *up, 3, dtype=torch.uint8, device=images[0].device).permute(0, 3, 1, 2)
        for slot, image, (rows, columns) in zip(pixels, images, sizes, strict=True):
            slot[:, :rows, :columns] = image
        batch = normalize(pixels, self.mean, self.std)
        for slot, (rows, columns) in zip(batch, sizes, strict=True):
            slot[:, rows:] = 0
            slot[:, :, columns:] = 0
        return ImageList(batch, sizes), targets
