"""Images as tensors. N images, C = 3 channels (RGB), H rows, W columns; uint8 until the device, float32 after."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def to_tensor(image: Image.Image) -> Tensor:
    """An RGB image as uint8 [3, H, W]; a view of its pixels in channels-last order."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def normalize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 [N, 3, H, W] or [3, H, W] -> float32 of the same shape, (x / 255 - mean) / std; batches channels-last."""
    scale = torch.tensor(std, device=images.device).mul(255).reciprocal_().view(3, 1, 1)
    shift = -torch.tensor(mean, device=images.device).div(torch.tensor(std, device=images.device)).view(3, 1, 1)
    result = torch.addcmul(shift, images.float(), scale)
    return result.contiguous(memory_format=torch.channels_last) if result.ndim == 4 else result
