"""COCO's boxes: one JSON file of images, categories and annotations ("instances").

Source: Lin et al., arXiv 1405.0312; cocodataset.org's data format. A box is (x, y, width, height) in pixels of the
image as stored, origin 0 at the top left corner; here (x, y, x + width, y + height). A category's id is any whole
number (COCO's 80 are 1 to 90 with gaps); a label is the category's place among all, sorted by id.

Letters: A annotations, K categories, N images.
"""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.data.records import DataError, SceneRecord


@dataclass(frozen=True, slots=True)
class Category:
    """A class: its id in the file, and its name."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class CocoImage:
    """An image as the file states it. size: (width, height) in pixels."""

    id: int
    file_name: str
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Instances:
    """What an instances file says: all of it but masks, licences and addresses. The arrays have the file's order."""

    path: Path
    """The file."""
    categories: tuple[Category, ...]
    """Sorted by id; a label is an index into them."""
    images: tuple[CocoImage, ...]
    """Sorted by id."""
    ids: NDArray[np.int64]
    """Ids of the annotations: [A]."""
    positions: NDArray[np.int64]
    """Of every annotation, its image's index in `images`: [A]."""
    labels: NDArray[np.int64]
    """Of every annotation, its category's index in `categories`: [A]."""
    boxes: NDArray[np.float64]
    """x0, y0, x1, y1, half-open, as written: [A, 4]. Some published ones have no width or no height."""
    areas: NDArray[np.float64]
    """Pixels of the object's mask, of its box where the file states none: [A]."""
    crowd: NDArray[np.bool_]
    """Whether the box holds many objects ("iscrowd"): [A]."""
    ignored: NDArray[np.bool_]
    """Whether the object is marked as "ignore", as files of VOC's objects mark difficult ones: [A]. COCO's own numbers
    pass over the mark: its program puts `iscrowd` in its place."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names by label."""
        return tuple(category.name for category in self.categories)

    @property
    def category_ids(self) -> tuple[int, ...]:
        """The file's category ids by label."""
        return tuple(category.id for category in self.categories)

    def scenes(self, folder: Path | None = None) -> tuple[SceneRecord, ...]:
        """A record for each image, in the order of `images`, with its objects in the order of their annotations' ids.

        The record's id is the image's in decimal digits. A crowd or an ignored object is there as
        `difficult`: it counts neither way in VOC's metric, and is not trained on. Boxes are cut to the image; those
        that are then without area are left out.

        Args:
            folder: what the file names are relative to; default: nothing, they stay as written.
        """
        sizes = np.array([image.size for image in self.images], np.float64).reshape(-1, 2)
        limits = np.tile(sizes, 2)[self.positions]  # [A, 4]
        boxes = np.clip(self.boxes, 0.0, limits)
        seen = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
        seen = seen[np.lexsort((self.ids[seen], self.positions[seen]))]
        starts = np.searchsorted(self.positions[seen], np.arange(len(self.images) + 1)).tolist()
        rows = list(map(tuple, boxes[seen].tolist()))
        labels, difficult = self.labels[seen].tolist(), (self.crowd | self.ignored)[seen].tolist()
        parts = [slice(*pair) for pair in pairwise(starts)]
        return tuple(
            SceneRecord(
                str(image.id), Path(image.file_name) if folder is None else folder / image.file_name, image.size,
                tuple(rows[part]), tuple(labels[part]), tuple(difficult[part]),
            )
            for image, part in zip(self.images, parts, strict=True)
        )  # fmt: skip


def read_instances(path: Path) -> Instances:
    """An instances file, checked whole. Masks and whatever else it holds are passed over, not kept.

    Raises:
        DataError: the file is unreadable, malformed, or inconsistent: a key is missing or of another type, an id is
            there twice, an annotation names an unknown image or category, a number is not finite, a box has a negative
            side. The message names the file, and the entry by its id or its place in the list (from 0).
    """
    path = Path(path)
    content = _decoded(path)
    for name, entries in (("images", content.images), ("categories", content.categories)):
        if not entries:
            raise DataError(f'{path}: "{name}" is empty')
    categories = sorted(content.categories, key=lambda one: one.id)
    images = sorted(content.images, key=lambda one: one.id)
    objects = content.annotations
    labels = _places([one.id for one in categories], path, "category")
    positions = _places([one.id for one in images], path, "image")
    _places([one.id for one in objects], path, "annotation")
    try:
        positions_of = np.array([positions[one.image_id] for one in objects], np.int64)
        labels_of = np.array([labels[one.category_id] for one in objects], np.int64)
    except KeyError:
        raise DataError(_unknown(path, objects, positions, labels)) from None
    boxes = np.array([one.bbox for one in objects], np.float64).reshape(-1, 4)
    areas = np.array([np.nan if one.area is None else one.area for one in objects], np.float64)
    _check(path, objects, boxes, areas)
    _check_sizes(path, images)
    return Instances(
        path=path,
        categories=tuple(Category(one.id, one.name) for one in categories),
        images=tuple(CocoImage(one.id, one.file_name, (one.width, one.height)) for one in images),
        ids=np.array([one.id for one in objects], np.int64),
        positions=positions_of,
        labels=labels_of,
        boxes=np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1),
        areas=np.where(np.isnan(areas), boxes[:, 2:].prod(axis=1), areas),
        crowd=np.array([one.iscrowd for one in objects], bool),
        ignored=np.array([one.ignore for one in objects], bool),
    )


_Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Category(msgspec.Struct, gc=False):
    id: _Id
    name: str


class _Image(msgspec.Struct, gc=False):
    id: _Id
    file_name: str
    width: int
    height: int


class _Object(msgspec.Struct, gc=False):
    id: _Id
    image_id: _Id
    category_id: _Id
    bbox: tuple[float, float, float, float]
    area: float | None = None
    iscrowd: Literal[0, 1] = 0
    ignore: bool | Literal[0, 1] = 0


class _File(msgspec.Struct, gc=False):
    images: list[_Image]
    categories: list[_Category]
    annotations: list[_Object]


def _decoded(path: Path) -> _File:
    try:
        return msgspec.json.decode(path.read_bytes().removeprefix(codecs.BOM_UTF8), type=_File)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(
            f"{path}: {error}. Expected COCO instances: an object with the lists images (id, file_name, width, "
            "height), categories (id, name) and annotations (id, image_id, category_id, bbox of 4 numbers)"
        ) from None


def _places(ids: Sequence[int], path: Path, what: str) -> dict[int, int]:
    places = {one: place for place, one in enumerate(ids)}
    if len(places) < len(ids):
        twice = next(one for place, one in enumerate(ids) if places[one] != place)
        raise DataError(f"{path}: {what} {twice} is there twice")
    return places


def _unknown(path: Path, objects: Sequence[_Object], images: dict[int, int], categories: dict[int, int]) -> str:
    """The message of the first annotation whose image or category is not there."""
    for one in objects:
        if one.image_id not in images:
            return f'{path}: annotation {one.id}: there is no image {one.image_id} in "images"'
        if one.category_id not in categories:
            return f'{path}: annotation {one.id}: there is no category {one.category_id} in "categories"'
    raise AssertionError("all are there")


def _check(path: Path, objects: Sequence[_Object], boxes: NDArray[np.float64], areas: NDArray[np.float64]) -> None:
    for good, rule in (
        ((boxes[:, 2:] >= 0).all(axis=1), "'bbox' is x, y, width and height in pixels, no side negative"),
        (~(areas < 0), "'area' is not negative"),
    ):
        if not good.all():
            one = objects[int(np.argmin(good))]
            raise DataError(f"{path}: annotation {one.id}: expected that {rule}; came {one.bbox}, area {one.area}")


def _check_sizes(path: Path, images: Sequence[_Image]) -> None:
    for one in images:
        if one.width < 1 or one.height < 1:
            raise DataError(f"{path}: image {one.id}: expected a positive size, came {one.width} x {one.height}")
