"""COCO's boxes: one JSON file of images, categories and annotations ("instances").

Source: Lin et al., arXiv 1405.0312; cocodataset.org's data format. A box is (x, y, width, height) in pixels of the
image as stored, origin 0 at the top left corner; here (x, y, x + width, y + height). A category's id is any whole
number (COCO's 80 are 1 to 90 with gaps); a label is the category's place among all, sorted by id.

Letters: A annotations, K categories, N images.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.parsing import read_text
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

        The record's id is the image's in decimal digits. A crowd is there as `difficult`: it counts neither way in
        VOC's metric, and is not trained on. Boxes are cut to the image; those that are then without area are left out.

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
        labels, crowd = self.labels[seen].tolist(), self.crowd[seen].tolist()
        parts = [slice(*pair) for pair in pairwise(starts)]
        return tuple(
            SceneRecord(
                str(image.id), Path(image.file_name) if folder is None else folder / image.file_name, image.size,
                tuple(rows[part]), tuple(labels[part]), tuple(crowd[part]),
            )
            for image, part in zip(self.images, parts, strict=True)
        )  # fmt: skip


def read_instances(path: Path) -> Instances:
    """An instances file, checked whole.

    Raises:
        DataError: the file is unreadable, malformed, or inconsistent: a key is missing or of another type, an id is
            there twice, an annotation names an unknown image or category, a box is not four finite numbers or has a
            negative side. The message names file and entry.
    """
    path = Path(path)
    content = _load(path)
    categories = tuple(sorted((_category(e, path) for e in content["categories"]), key=lambda one: one.id))
    images = tuple(sorted((_image(e, path) for e in content["images"]), key=lambda one: one.id))
    _unique([one.id for one in categories], path, "category")
    _unique([one.id for one in images], path, "image")
    if not categories or not images:
        raise DataError(f'{path}: "{"images" if categories else "categories"}" is empty')
    labels = {one.id: i for i, one in enumerate(categories)}
    positions = {one.id: i for i, one in enumerate(images)}
    rows = [_annotation(e, path, positions, labels) for e in content["annotations"]]
    _unique([row[0] for row in rows], path, "annotation")
    ids, where, label, boxes, areas, crowd = zip(*rows, strict=True) if rows else ((),) * 6
    found = np.array(boxes, np.float64).reshape(-1, 4)
    found[:, 2:] += found[:, :2]
    return Instances(
        path, categories, images,
        np.array(ids, np.int64), np.array(where, np.int64), np.array(label, np.int64), found,
        np.array(areas, np.float64), np.array(crowd, bool),
    )  # fmt: skip


def _load(path: Path) -> dict[str, list[Any]]:
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: malformed JSON ({error})") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object at the top, came {type(content).__name__}")
    for key in ("images", "categories", "annotations"):
        if not isinstance(content.get(key), list):
            raise DataError(
                f"{path}: expected COCO instances with a list {key!r} at the top; keys there are: {', '.join(content)}"
            )
    return content


def _category(entry: Any, path: Path) -> Category:
    where = _where(entry, path, "categories")
    return Category(_of(entry, "id", int, where), _of(entry, "name", str, where))


def _image(entry: Any, path: Path) -> CocoImage:
    where = _where(entry, path, "images")
    name = _of(entry, "file_name", str, where)
    width, height = (_of(entry, key, int, where) for key in ("width", "height"))
    if width < 1 or height < 1:
        raise DataError(f"{where}: width and height must be positive, came {width} x {height}")
    return CocoImage(_of(entry, "id", int, where), name, (width, height))


_Row = tuple[int, int, int, Sequence[float], float, bool]


def _annotation(entry: Any, path: Path, positions: dict[int, int], labels: dict[int, int]) -> _Row:
    where = _where(entry, path, "annotations")
    image, category = _of(entry, "image_id", int, where), _of(entry, "category_id", int, where)
    if image not in positions:
        raise DataError(f'{where}: there is no image {image} in "images"')
    if category not in labels:
        raise DataError(f'{where}: there is no category {category} in "categories"')
    box = _of(entry, "bbox", list, where)
    if len(box) != 4 or not all(type(v) in (int, float) and abs(v) < 1e9 for v in box) or min(box[2:]) < 0:
        raise DataError(
            f"{where}: 'bbox' must be x, y, width and height in pixels, none of the sides negative; came {box!r:.80}"
        )
    crowd = entry.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise DataError(f"{where}: 'iscrowd' must be 0 or 1, came {crowd!r:.80}")
    area = entry.get("area", box[2] * box[3])
    if type(area) not in (int, float) or not 0 <= area < 1e18:
        raise DataError(f"{where}: 'area' must be a number that is not negative, came {area!r:.80}")
    return _of(entry, "id", int, where), positions[image], labels[category], box, area, bool(crowd)


def _where(entry: Any, path: Path, part: str) -> str:
    if not isinstance(entry, dict):
        raise DataError(f"{path}: every entry of {part!r} must be an object, came {entry!r:.80}")
    return f"{path}: {part} entry {entry.get('id', '?')}"


def _of(entry: dict[str, Any], key: str, kind: type, where: str) -> Any:
    value = entry.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DataError(f"{where}: {key!r} must be {kind.__name__}, came {value!r:.80}")
    return value


def _unique(ids: Sequence[int], path: Path, what: str) -> None:
    seen: set[int] = set()
    for one in ids:
        if one in seen:
            raise DataError(f"{path}: {what} {one} is there twice")
        seen.add(one)
