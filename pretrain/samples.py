"""Images of a classification set as training and validation samples.

A sample is (pixels [3, S, S], label): uint8, or float32 on the same scale where the augmentation changes colours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from core.data.images import read_rgb
from core.data.records import ImageRecord
from core.errors import UserError
from core.images import to_tensor
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


class _Images:
    """The decoded images of some records, kept as uint8 if asked to."""

    def __init__(self, records: Sequence[ImageRecord], keep: bool) -> None:
        self.records = records
        self.kept: list[Tensor] | None = [self.read(record) for record in records] if keep else None

    def __len__(self) -> int:
        return len(self.records)

    def read(self, record: ImageRecord) -> Tensor:
        return to_tensor(read_rgb(record.path))

    def pixels(self, index: int) -> Tensor:
        return self.read(self.records[index]) if self.kept is None else self.kept[index]


class TrainSamples(_Images):
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
        super().__init__(records, keep)
        self.augmentation, self.size, self.low = augmentation, size, low
        self.low_epochs = int(low.share * epochs) if low is not None else 0
        self.begin_epoch(0)

    def begin_epoch(self, epoch: int) -> None:
        """Choose the views' size for an epoch, counted from 0."""
        small = self.low is not None and epoch < self.low_epochs
        self.current = self.low.size if small and self.low is not None else self.size

    def sample(self, index: int) -> Sample:
        """Return a random view and its label; torch's global generator decides."""
        return self.augmentation(self.pixels(index), self.current), self.records[index].label


class ValSamples(_Images):
    """The central part of every validation image: shorter side to ``resize``, then ``size`` pixels square."""

    def __init__(self, records: Sequence[ImageRecord], resize: int, size: int, *, keep: bool = False) -> None:
        """Make crops of ``size`` pixels; ``keep``: make all of them now and keep them as uint8."""
        self.resize, self.size = resize, size
        super().__init__(records, keep)

    def read(self, record: ImageRecord) -> Tensor:
        """Return the crop of an image, uint8 [3, S, S]."""
        pixels = functional.resize(to_tensor(read_rgb(record.path)), [self.resize], antialias=True)
        crop: Tensor = functional.center_crop(pixels, [self.size, self.size])
        return crop

    def sample(self, index: int) -> Sample:
        """Return the crop and its label."""
        return self.pixels(index), self.records[index].label


def collate(samples: list[Sample]) -> tuple[Tensor, Tensor]:
    """Stack samples: pixels [N, 3, S, S], labels [N] int64."""
    return torch.stack([pixels for pixels, _ in samples]), torch.tensor([label for _, label in samples])
