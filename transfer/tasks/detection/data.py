"""Images and boxes of the detection tasks: decoded, resized, augmented, collated.

Letters: H, W height and width of the network's input; B objects in one image. Boxes are x0, y0, x1, y1 in pixels,
half-open, origin 0. Labels are 1-based inside the networks, because torchvision's heads keep 0 for the background.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from core.data.records import SceneRecord
from core.images import Pictures


class Example(NamedTuple):
    """One image at the network's size with its objects.

    `size` is the file's own width and height, to which predictions are mapped back.
    """

    image: Tensor  # [3, H, W] uint8
    boxes: Tensor  # [B, 4] float32, pixels of `image`
    labels: Tensor  # [B] int64, 1-based
    id: str
    size: tuple[int, int]


class Batch(NamedTuple):
    """Examples side by side; images may differ in size."""

    images: list[Tensor]
    boxes: list[Tensor]
    labels: list[Tensor]
    ids: list[str]
    sizes: list[tuple[int, int]]


def collate(examples: Sequence[Example]) -> Batch:
    """A list of examples as a batch."""
    images, boxes, labels, ids, sizes = (list(column) for column in zip(*examples, strict=True))
    return Batch(images, boxes, labels, ids, sizes)


class Size(ABC):
    """A rule that says at which size an image is shown to the network."""

    @abstractmethod
    def __call__(self, height: int, width: int) -> tuple[int, int]:
        """Height and width to resize an image of this height and width to."""


@dataclass(frozen=True)
class Square(Size):
    """Every image as a square, its aspect ratio lost (SSD). side: pixels."""

    side: int = 300

    def __call__(self, height: int, width: int) -> tuple[int, int]:
        """Always the square."""
        return self.side, self.side


@dataclass(frozen=True)
class Fit(Size):
    """Aspect ratio kept: the short side is `short` pixels, unless the long side would be over `long` (Faster R-CNN)."""

    short: int = 600
    long: int = 1000

    def __call__(self, height: int, width: int) -> tuple[int, int]:
        """The largest size that keeps both limits, rounded to pixels."""
        scale = min(self.short / min(height, width), self.long / max(height, width))
        return max(1, round(height * scale)), max(1, round(width * scale))


class Scenes:
    """Samples of a detection data set.

    Args:
        records: images with their objects.
        size: what to resize a decoded image to before `augment`; None leaves it, and `augment` must resize.
        augment: a torchvision v2 transform of {"image", "boxes", "labels"}, drawing from torch's global generator.
        keep_difficult: whether objects marked difficult are among the targets.
        cache: keep decoded (and resized) images in memory.
    """

    def __init__(
        self,
        records: Sequence[SceneRecord],
        size: Size | None,
        augment: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        *,
        keep_difficult: bool = False,
        cache: bool = False,
    ):
        self.records = records
        self.size = size
        self.augment = augment
        self.keep_difficult = keep_difficult
        self.pictures = Pictures([record.path for record in records], self._resize, keep=cache)

    def __len__(self) -> int:
        return len(self.records)

    def sample(self, index: int) -> Example:
        """The example of one record. Raises DataError where the image cannot be read."""
        record = self.records[index]
        image = self.pictures[index]  # [3, H, W]
        height, width = image.shape[-2:]
        boxes, labels = _targets(record, keep_difficult=self.keep_difficult)
        scale = torch.tensor([width / record.size[0], height / record.size[1]]).repeat(2)  # x, y, x, y
        boxes = boxes * scale
        if self.augment is not None:
            wrapped = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(height, width))
            out = self.augment({"image": tv_tensors.Image(image), "boxes": wrapped, "labels": labels})
            image, boxes, labels = (out[key].as_subclass(Tensor) for key in ("image", "boxes", "labels"))
        return Example(image, boxes, labels, record.id, record.size)

    def _resize(self, image: Tensor) -> Tensor:
        if self.size is None:
            return image
        resized: Tensor = v2.functional.resize(image, list(self.size(*image.shape[-2:])), antialias=True)
        return resized


def _targets(record: SceneRecord, *, keep_difficult: bool) -> tuple[Tensor, Tensor]:
    """Boxes [B, 4] in the file's pixels and 1-based labels [B] of the objects to learn from; B may be 0."""
    kept = [i for i, hard in enumerate(record.difficult) if keep_difficult or not hard]
    boxes = torch.tensor([record.boxes[i] for i in kept], dtype=torch.float32).reshape(-1, 4)
    labels = torch.tensor([record.labels[i] + 1 for i in kept], dtype=torch.int64)
    return boxes, labels


def flip() -> Any:
    """A horizontal flip with probability 1/2; the image's size stays."""
    return v2.RandomHorizontalFlip(0.5)
