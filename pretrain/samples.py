"""Images of a classification set as training and validation samples.

A sample is (pixels [3, S, S], label): uint8, or float32 on the same scale where the augmentation changes colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms import v2

from core.data.records import ImageRecord
from core.errors import UserError
from core.images import Pictures
from pretrain.augmentation import Augmentation

Sample = tuple[Tensor, int]


@dataclass(frozen=True)
class LowResolution:
    """Training starts on smaller images. Ours, not the paper's: it buys accuracy where CPU time is short."""

    size: int = 32
    """Side of the images at the start, in pixels."""
    share: float = 0.6
    """Share of the epochs that use them (whole epochs, rounded down)."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.size < 8 or not 0.0 <= self.share <= 1.0:
            raise UserError(f"low_resolution: expected size >= 8 and 0 <= share <= 1, got {self}")


class TrainSamples:
    """Random views of the training images."""

    def __init__(
        self,
        records: Sequence[ImageRecord],
        augmentation: Augmentation,
        size: int,
        *,
        keep: bool = False,
        low: LowResolution | None = None,
        epochs: float = 1.0,
    ) -> None:
        """Make views of ``size`` pixels square.

        ``keep``: decode all images now and keep them as uint8. ``low``: smaller views in the first of ``epochs``.
        """
        self.labels = [record.label for record in records]
        self.pictures = Pictures([record.path for record in records], keep=keep)
        self.augmentation, self.size, self.low = augmentation, size, low
        self.low_epochs = int(low.share * epochs) if low is not None else 0
        self.begin_epoch(0)

    def __len__(self) -> int:
        return len(self.labels)

    def begin_epoch(self, epoch: int) -> None:
        """Choose the views' size for an epoch, counted from 0."""
        small = self.low is not None and epoch < self.low_epochs
        self.current = self.low.size if small and self.low is not None else self.size

    def sample(self, index: int) -> Sample:
        """Return a random view and its label; torch's global generator decides."""
        return self.augmentation(self.pictures[index], self.current), self.labels[index]


class ValSamples:
    """The central part of every validation image: shorter side to ``resize``, then ``size`` pixels square."""

    def __init__(self, records: Sequence[ImageRecord], resize: int, size: int, *, keep: bool = False) -> None:
        """Make crops of ``size`` pixels; ``keep``: make all of them now and keep them as uint8."""
        self.labels = [record.label for record in records]
        crop = v2.Compose([v2.Resize(resize, antialias=True), v2.CenterCrop(size)])
        self.pictures = Pictures([record.path for record in records], crop, keep=keep)

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, index: int) -> Sample:
        """Return the crop and its label."""
        return self.pictures[index], self.labels[index]


def collate(samples: list[Sample]) -> tuple[Tensor, Tensor]:
    """Stack samples: pixels [N, 3, S, S], labels [N] int64."""
    return torch.stack([pixels for pixels, _ in samples]), torch.tensor([label for _, label in samples])
