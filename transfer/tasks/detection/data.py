"""Images and boxes of the detection tasks: decoded, resized, augmented, collated.

Letters: H, W height and width of the network's input; B objects in one image. Boxes are x0, y0, x1, y1 in pixels,
half-open, origin 0. Labels are 1-based inside the networks, because torchvision's heads keep 0 for the background.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.data.pictures import Source
from core.data.records import DataError, Naming, SceneRecord
from core.images import Originals
from core.slots import Memory
from transfer.tasks.detection.notes import Notes
from transfer.tasks.detection.views import Augmentation, Drawn, Flip, Window, show

FILL = (124, 116, 104)
"""ImageNet's mean colour in RGB: what stands around an image that is zoomed out."""


class Example(NamedTuple):
    """One image at the network's size with its objects.

    `size` is the file's own width and height, to which predictions are mapped back. `id` and `categories` are what a
    COCO results file calls the image, and the class of each label (from 1): see `core.data.records.Naming`.
    """

    image: Tensor  # [3, H, W] uint8
    boxes: Tensor  # [B, 4] float32, pixels of `image`
    labels: Tensor  # [B] int64, 1-based
    id: str | int
    size: tuple[int, int]
    categories: tuple[int, ...] = ()


class Batch(NamedTuple):
    """Examples side by side; images may differ in size."""

    images: list[Tensor]
    boxes: list[Tensor]
    labels: list[Tensor]
    ids: list[str | int]
    sizes: list[tuple[int, int]]
    categories: tuple[int, ...] = ()


def collate(examples: Sequence[Example], memory: Memory | None = None) -> Batch:
    """A list of examples of one data set as a batch.

    Args:
        examples: at least one.
        memory: where the images' bytes go, one image after the other; one that finds no room stays where it is. None:
            all do.
    """
    images, boxes, labels, ids, sizes, categories = (list(column) for column in zip(*examples, strict=True))
    if memory is not None:
        images = _moved(images, memory)
    return Batch(images, boxes, labels, ids, sizes, categories[0])


def _moved(images: Sequence[Tensor], memory: Memory) -> list[Tensor]:
    """The same images [3, H, W] in this memory, channels last."""
    moved, start = [], 0
    for image in images:
        pixels = image.permute(1, 2, 0)
        end = start + pixels.numel()
        if end <= len(memory):
            slot = torch.from_numpy(memory[start:end]).view(pixels.shape)
            slot.copy_(pixels)
            pixels, start = slot, end
        moved.append(pixels.permute(2, 0, 1))
    return moved


class Size(ABC):
    """A rule that says at which size an image is shown to the network."""

    @abstractmethod
    def __call__(self, height: int, width: int) -> tuple[int, int]:
        """Height and width to resize an image of this height and width to."""

    def drawn(self, rng: random.Random) -> "Size":
        """The rule for one training image. Default: this one."""
        return self


@dataclass(frozen=True)
class Square(Size):
    """Every image as a square, its aspect ratio lost (SSD). side: pixels."""

    side: int = 300

    def __call__(self, height: int, width: int) -> tuple[int, int]:
        """Always the square."""
        return self.side, self.side


@dataclass(frozen=True)
class Fit(Size):
    """Aspect ratio kept: the short side is `short` pixels, unless the long side would be over `long` (Faster R-CNN).

    Rounded as detectron2's ResizeShortestEdge does: halves go up.
    """

    short: int = 600
    long: int = 1000

    def __call__(self, height: int, width: int) -> tuple[int, int]:
        """The largest size that keeps both limits, rounded to pixels."""
        short, long = float(self.short), max(height, width) * (self.short / min(height, width))
        if long > self.long:
            short, long = short * (self.long / long), float(self.long)
        sides = max(1, int(short + 0.5)), max(1, int(long + 0.5))
        return sides if height < width else sides[::-1]


@dataclass(frozen=True)
class MultiScale(Size):
    """`Fit` with a short side drawn anew for each training image, each with the same probability.

    detectron2's "choice" of INPUT.MIN_SIZE_TRAIN.
    """

    shorts: tuple[int, ...]
    """Pixels."""
    long: int = 1333
    """Most pixels of the long side."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if not self.shorts or min(self.shorts) < 1:
            raise ValueError(f"MultiScale: shorts: expected at least one side in pixels, got {self.shorts}")

    def __call__(self, height: int, width: int) -> tuple[int, int]:
        """With the largest of the short sides: what a plan reckons with."""
        return Fit(max(self.shorts), self.long)(height, width)

    def drawn(self, rng: random.Random) -> Fit:
        """One of them."""
        return Fit(rng.choice(self.shorts), self.long)


class Scenes:
    """Samples of a detection data set.

    Args:
        records: images with their objects.
        size: the size at which a view of an image is shown.
        augment: what view that is; None: the whole image as it is.
        keep_difficult: whether objects marked difficult are among the targets.
        cache: keep decoded images in memory.
        by_aspect: whether a training batch is to hold images of one orientation.
        naming: what a results file calls the images and classes; None: ids as they stand, classes from 0.
    """

    def __init__(
        self,
        records: Sequence[SceneRecord],
        size: Size,
        augment: Augmentation | None = None,
        *,
        keep_difficult: bool = False,
        cache: bool = False,
        by_aspect: bool = False,
        naming: Naming | None = None,
    ):
        self.size = size
        self.augment = augment
        self.naming = naming
        self.pictures = Originals([record.path for record in records], keep=cache)
        self.notes = Notes(records, keep_difficult=keep_difficult)
        self.groups = [int(r.size[0] <= r.size[1]) for r in records] if by_aspect else None
        """Of each image: 0 wider than high, 1 not (see `core.loader.Grouped`); None: batches may mix them."""
        shown = [size(height, width) for width, height in {record.size for record in records}]
        self.sample_bytes = 3 * max((height * width for height, width in shown), default=0)
        """Of the largest image, by the sizes that the annotations note (see `core.loader.Measured`)."""

    def __len__(self) -> int:
        return len(self.pictures)

    def seeded_sample(self, index: int, seed: int) -> Example:
        """The example of one record. DataError: the image cannot be read, or is not of the shape that is noted."""
        note, picture, rng = self.notes[index], self.pictures[index], random.Random(seed)
        boxes = note.boxes * _scale(note.size, (picture.width, picture.height), self.pictures.paths[index])
        drawn = Drawn(Window(0, 0, picture.width, picture.height))
        if self.augment is not None:
            drawn = self.augment.draw(picture.height, picture.width, boxes.tolist(), rng)
        size = self.size.drawn(rng)(drawn.window.height, drawn.window.width)
        pixels, placed, kept = show(picture, boxes, drawn, size, FILL)
        return Example(
            torch.from_numpy(pixels).permute(2, 0, 1),
            torch.from_numpy(placed),
            torch.from_numpy(note.labels[kept] + 1),
            note.id if self.naming is None else self.naming.image_id(note.id),
            note.size,
            () if self.naming is None else self.naming.categories,
        )

    def sample(self, index: int) -> Example:
        """The same, with a seed from torch's global generator."""
        return self.seeded_sample(index, int(torch.randint(2**62, ())))


def _scale(noted: tuple[int, int], real: tuple[int, int], source: Source) -> NDArray[np.float64]:
    """Factors [4] of boxes in pixels of the (width, height) that an annotation notes, to those that its image has.

    Images may have been made smaller since. DataError: it is no copy at another scale.
    """
    if abs(real[0] * noted[1] - real[1] * noted[0]) > sum(noted):  # beyond what rounding to pixels makes
        raise DataError(
            f"{source}: the image has {real[0]} x {real[1]} pixels (width x height), its annotation says {noted[0]} x "
            f"{noted[1]}, which is another shape: its boxes would lie elsewhere"
        )
    return np.array([real[0] / noted[0], real[1] / noted[1]] * 2)


def flip() -> Augmentation:
    """A horizontal flip with probability 1/2; the image's size stays."""
    return Flip()
