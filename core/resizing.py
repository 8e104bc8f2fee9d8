"""Pixels brought to another size, antialiased where they shrink: the very pixels of torchvision's v2 resize."""

import numpy as np
import torch

from core.data.pictures import Pixels

_RESIZE = {
    "bilinear": torch.ops.aten._upsample_bilinear2d_aa.out,
    "bicubic": torch.ops.aten._upsample_bicubic2d_aa.out,
}


def resize(pixels: Pixels, height: int, width: int, interpolation: str = "bilinear") -> Pixels:
    """uint8 [H, W, 3] -> [height, width, 3]; pixels that have this size already are returned as they are.

    Args:
        pixels: what to resize. height, width: in pixels.
        interpolation: "bilinear" or "bicubic".
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    pixels = np.require(pixels, requirements="W")  # torch warns of memory that may not be written to
    source = torch.from_numpy(pixels).permute(2, 0, 1)[None]  # [1, 3, H, W], a view in channels-last order
    result = np.empty((height, width, 3), np.uint8)
    view = torch.from_numpy(result).permute(2, 0, 1)[None]
    # torch.nn.functional.interpolate calls this too, but puts its result channels first: half as long again.
    _RESIZE[interpolation](source, (height, width), False, None, None, out=view)
    return result
