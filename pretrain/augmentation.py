"""What happens to one training image: a random crop, a flip, and where asked for colour jitter and lighting noise.

Source: the CutMix authors' ImageNet recipe (clovaai/CutMix-PyTorch, train.py and utils.py at commit 2d8eb68), that is
torchvision's RandomResizedCrop and flip, then, on floating-point pixels and without clipping, brightness, contrast and
saturation in random order and AlexNet's PCA noise. The paper's text names only "resize, crop, flip".

All randomness comes from torch's global generator, which the training loop seeds for every (seed, epoch, index).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms import RandomResizedCrop as TorchCrop
from torchvision.transforms.v2 import functional

from core.errors import UserError

# Eigenvalues and eigenvectors (columns) of the RGB covariance over ImageNet, pixels in 0..1 (fb.resnet.torch's values).
_EIGENVALUES = torch.tensor([0.2175, 0.0188, 0.0045])
_EIGENVECTORS = torch.tensor([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
_LUMA = torch.tensor([0.299, 0.587, 0.114])[:, None, None]


@dataclass(frozen=True)
class Augmentation(ABC):
    """What happens to one training image."""

    @abstractmethod
    def __call__(self, image: Tensor, size: int) -> Tensor:
        """Return a random view of ``image`` [3, H, W] uint8, ``size`` pixels square."""


@dataclass(frozen=True)
class RandomResizedCrop(Augmentation):
    """RandomResizedCrop and flip; ``jitter`` and ``lighting`` add the authors' colour changes."""

    min_area: float = 0.08
    """Smallest share of the image's area that a crop covers."""
    max_aspect: float = 4 / 3
    """Largest ratio of a crop's longer to its shorter side."""
    flip: float = 0.5
    """Probability of a left-right flip."""
    jitter: float = 0.0
    """Half width of the uniform strength of brightness, contrast and saturation (authors: .4)."""
    lighting: float = 0.0
    """Standard deviation of the PCA noise (authors: .1)."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if not 0.0 < self.min_area <= 1.0 or self.max_aspect < 1.0 or not 0.0 <= self.flip <= 1.0:
            raise UserError(f"augmentation: expected 0 < min_area <= 1, max_aspect >= 1, 0 <= flip <= 1, got {self}")
        if self.jitter < 0.0 or self.lighting < 0.0:
            raise UserError(f"augmentation: jitter and lighting must not be negative, got {self}")

    def __call__(self, image: Tensor, size: int) -> Tensor:
        """Return a random view of ``image`` [3, H, W] uint8, ``size`` pixels square.

        uint8 [3, size, size]; with jitter or lighting float32 on the same scale (about 0 to 255, not clipped).
        """
        scale, ratio = [self.min_area, 1.0], [1 / self.max_aspect, self.max_aspect]
        top, left, height, width = TorchCrop.get_params(image, scale, ratio)
        # The crop comes first, so that only its pixels are resized; bilinear, antialiased when it shrinks.
        crop: Tensor = functional.resize(
            image[:, top : top + height, left : left + width], [size, size], antialias=True
        )
        if torch.rand(()) < self.flip:
            crop = crop.flip(-1)
        if self.jitter == 0.0 and self.lighting == 0.0:
            return crop
        return _lighting(_jitter(crop.float(), self.jitter), self.lighting)


def _jitter(image: Tensor, strength: float) -> Tensor:
    """Blend with black, with the mean grey and with the greyscale image, in random order, each by U(-s, s)."""
    if strength == 0.0:
        return image
    targets: tuple[Callable[[Tensor], Tensor], ...] = (
        torch.zeros_like,
        lambda x: _grey(x).mean().expand_as(x),
        lambda x: _grey(x).expand_as(x),
    )
    amounts = (torch.rand(3) * 2 - 1) * strength
    for i in torch.randperm(3).tolist():
        image = torch.lerp(image, targets[i](image), float(amounts[i]))
    return image


def _lighting(image: Tensor, deviation: float) -> Tensor:
    """Add one colour, drawn along the principal axes of ImageNet's colours."""
    if deviation == 0.0:
        return image
    colour = 255.0 * _EIGENVECTORS @ (torch.randn(3) * deviation * _EIGENVALUES)
    return image + colour[:, None, None]


def _grey(image: Tensor) -> Tensor:
    return (image * _LUMA).sum(0, keepdim=True)  # [1, H, W]
