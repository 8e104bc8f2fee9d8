"""Images of a classification set as training and validation samples, and their batches.

N images, S x S pixels. Pixels stay uint8 from the decode to the device, [N, S, S, 3] in memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2

from core.data.pictures import Pixels
from core.data.records import ImageRecord
from core.errors import UserError
from core.images import Originals, Pictures
from core.slots import Memory
from pretrain.augmentation import Augmentation
from pretrain.colour import Colour


class Sample(NamedTuple):
    """One view of an image."""

    pixels: Pixels
    """uint8 [S, S, 3], RGB."""
    label: int
    """Index of its class."""
    colour: Colour | None = None
    """float32 [3, 4]: a change of colour that is still to be applied, see `pretrain.colour`."""


class Batch(NamedTuple):
    """Samples side by side."""

    pixels: Tensor
    """uint8 [N, 3, S, S], RGB, in channels-last memory."""
    labels: Tensor
    """int64 [N]."""
    colours: Tensor | None
    """float32 [N, 3, 4]: each image's change of colour, to be applied before normalising; None: none of them has."""


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
        self.pictures = Originals([record.path for record in records], keep=keep)
        self.augmentation, self.size, self.low = augmentation, size, low
        self.low_epochs = int(low.share * epochs) if low is not None else 0
        self.sample_bytes = 3 * max(size, low.size if low is not None else 0) ** 2
        self.begin_epoch(0)

    def __len__(self) -> int:
        return len(self.labels)

    def begin_epoch(self, epoch: int) -> None:
        """Choose the views' size for an epoch, counted from 0."""
        small = self.low is not None and epoch < self.low_epochs
        self.current = self.low.size if small and self.low is not None else self.size

    def seeded_sample(self, index: int, seed: int) -> Sample:
        """Return a random view and its label; ``seed`` alone decides."""
        pixels, colour = self.augmentation(self.pictures[index], self.current, seed)
        return Sample(pixels, self.labels[index], colour)

    def sample(self, index: int) -> Sample:
        """Return a random view and its label; torch's global generator gives the seed."""
        return self.seeded_sample(index, int(torch.randint(2**62, ())))


class ValSamples:
    """The central part of every validation image: shorter side to ``resize``, then ``size`` pixels square."""

    def __init__(self, records: Sequence[ImageRecord], resize: int, size: int, *, keep: bool = False) -> None:
        """Make crops of ``size`` pixels; ``keep``: make all of them now and keep them as uint8."""
        self.labels = [record.label for record in records]
        crop = v2.Compose([v2.Resize(resize, antialias=True), v2.CenterCrop(size)])
        self.pictures = Pictures([record.path for record in records], crop, keep=keep)
        self.sample_bytes = 3 * size**2

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, index: int) -> Sample:
        """Return the crop and its label."""
        pixels: Pixels = self.pictures[index].permute(1, 2, 0).numpy()
        return Sample(pixels, self.labels[index])


def collate(samples: list[Sample], memory: Memory | None = None) -> Batch:
    """Copy samples side by side; the pixels to the start of ``memory`` (N * S * S * 3 bytes at least) where given."""
    count, side = len(samples), len(samples[0].pixels)
    room = np.empty(count * side * side * 3, np.uint8) if memory is None else memory[: count * side * side * 3]
    pixels = room.reshape(count, side, side, 3)
    for row, sample in zip(pixels, samples, strict=True):
        row[...] = sample.pixels
    colours = [sample.colour for sample in samples if sample.colour is not None]
    assert len(colours) in (0, count)
    return Batch(
        torch.from_numpy(pixels).permute(0, 3, 1, 2),
        torch.tensor([sample.label for sample in samples]),
        torch.from_numpy(np.stack(colours)) if colours else None,
    )
