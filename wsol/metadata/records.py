"""Truths from the records of `core.data`, and what all importers share."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from core.data.records import Box, DataError, ImageRecord
from eval.localization.truth import Truth


class Object(NamedTuple):
    """One object of an image with many."""

    label: int
    box: Box
    """Half-open pixels."""
    place: int = 0
    """Whatever finds it again in its annotation."""


def from_records(records: Iterable[ImageRecord]) -> tuple[Truth, ...]:
    """One truth for each record, with the record's id.

    Where a record has no size (CUB), it is read from the image's header.
    DataError: an image without a box, or one that cannot be read.
    """
    from core.data.images import image_size

    truths = []
    for record in records:
        if not record.boxes:
            raise DataError(f"{record.path}: image {record.id} has no box; expected boxes of every image")
        size = record.size or image_size(record.path)
        truths.append(Truth(record.id, size, np.array(record.boxes, np.float64), record.label))
    return tuple(truths)


def of_one_class(objects: Sequence[Object], label: int | None = None) -> list[Object]:
    """The objects of one class, as metadata has one class for each image.

    Args:
        objects: of one image.
        label: the class that is asked for; None: that with the most objects, of equals that with the larger area of
            boxes in sum, of equals the lower class.

    Returns:
        None of them where there are none of that class.
    """
    if label is None and objects:
        count = Counter(one.label for one in objects)
        area: dict[int, float] = defaultdict(float)
        for one in objects:
            x0, y0, x1, y1 = one.box
            area[one.label] += (x1 - x0) * (y1 - y0)
        label = max(count, key=lambda k: (count[k], area[k], -k))
    return [one for one in objects if one.label == label]


def whole_pixels(boxes: Iterable[Box], size: tuple[int, int]) -> np.ndarray:
    """[G, 4] float64 half-open boxes, made larger to whole pixels and clipped to the image (width, height).

    wsolevaluation's text files hold whole numbers.
    """
    array = np.array(list(boxes), np.float64).reshape(-1, 4)
    array = np.concatenate([np.floor(array[:, :2]), np.ceil(array[:, 2:])], axis=1)
    clipped: np.ndarray = np.clip(array, 0, [*size, *size])
    return clipped


def label_of(name: str | None, classes: Sequence[str]) -> int | None:
    """The class of this name; None for None. DataError: there is no such class."""
    if name is None:
        return None
    if name not in classes:
        raise DataError(f"there is no class {name!r}; classes there are: {', '.join(classes)}")
    return list(classes).index(name)
