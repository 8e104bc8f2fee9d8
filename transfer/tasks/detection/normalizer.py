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
        """Images [3, H, W] uint8 to one torchvision ImageList [N, 3, H', W'] float; targets as they came."""
        sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
        height, width = (max(side) for side in zip(*sizes, strict=True))
        up = [-(-side // self.divisor) * self.divisor for side in (height, width)]
        if set(sizes) == {(up[0], up[1])}:
            return ImageList(normalize(torch.stack(list(images)), self.mean, self.std), sizes), targets
        batch = torch.zeros(len(images), 3, *up, device=images[0].device)
        for slot, image in zip(batch, images, strict=True):
            slot[:, : image.shape[-2], : image.shape[-1]] = normalize(image, self.mean, self.std)
        return ImageList(batch, sizes), targets

    def postprocess(self, result: Any, image_shapes: Any, original_image_sizes: Any) -> Any:
        """Boxes stay in the input's pixels; `coco_results` maps them to the file's."""
        return result
