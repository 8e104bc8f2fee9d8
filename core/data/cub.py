"""CUB-200-2011: 200 bird species, one box per image.

Source: Wah et al., Caltech technical report CNS-TR-2011-001; five text files that share image and class ids counted
from 1. `bounding_boxes.txt` gives x, y, width, height. Although ids count from 1, pixels count from 0: x = 0 occurs
73 times in the published set. So a box is (x, y, x + width, y + height), which keeps the published width.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from core.data.folders import image_names
from core.data.parsing import integer, number, rows
from core.data.records import Box, DataError, DataSet, ImageRecord

_TABLES = ("images", "image_class_labels", "train_test_split", "bounding_boxes", "classes")


@dataclass(frozen=True)
class CUB(DataSet[ImageRecord]):
    """CUB-200-2011 as its archive unpacks. Records are sorted by image id; `id` is the path below `images/`.

    The classes are those that have images, so that a subset with all 200 names in classes.txt has no classes that a
    network could never learn: their weights would share all that the present ones have in common, and a CAM with it.
    """

    name: ClassVar[str] = "CUB-200-2011"
    layout: ClassVar[str] = """
CUB_200_2011/images.txt               <image id> <class folder>/<file>
CUB_200_2011/image_class_labels.txt   <image id> <class id>
CUB_200_2011/train_test_split.txt     <image id> <1: train, 0: test>
CUB_200_2011/bounding_boxes.txt       <image id> <x> <y> <width> <height>
CUB_200_2011/classes.txt              <class id> <class name>
CUB_200_2011/images/<class folder>/<file>.jpg
"""
    official: ClassVar[dict[str, int]] = {"train": 5994, "test": 5794}

    folder: str = "CUB_200_2011"
    """The folder that holds images.txt and images/."""

    def classes(self, root: Path) -> tuple[str, ...]:
        """The names of the classes that have images, by their ids: "001.Black_footed_Albatross", ..."""
        base = Path(root) / self.folder
        names = _names(base)
        present = _present(_table(base / "image_class_labels.txt", "<image id> <class id>"), len(names))
        return tuple(names[i - 1] for i in present)

    def _needs(self, root: Path, split: str) -> Iterable[tuple[Path, str]]:
        base = root / self.folder
        yield base, "folder"
        for table in _TABLES:
            yield base / f"{table}.txt", "file"
        yield base / "images", "folder"

    def _read(self, root: Path, split: str) -> tuple[ImageRecord, ...]:
        base = root / self.folder
        images = _table(base / "images.txt", "<image id> <file>")
        labels = _table(base / "image_class_labels.txt", "<image id> <class id>")
        parts = _table(base / "train_test_split.txt", "<image id> <1: train, 0: test>")
        boxes = _table(base / "bounding_boxes.txt", "<image id> <x> <y> <width> <height>")
        for name, table in (("image_class_labels", labels), ("train_test_split", parts), ("bounding_boxes", boxes)):
            if odd := sorted(images.keys() ^ table.keys()):
                lacks = f"{name}.txt" if odd[0] in images else "images.txt"
                raise DataError(f"{base / lacks}: has no line for image {odd[0]} ({len(odd)} in all)")
        names = _names(base)
        label = {class_id: index for index, class_id in enumerate(_present(labels, len(names)))}
        files = _Files(base / "images")
        records = []
        for i, (where, (file,)) in sorted(images.items()):
            if _is_train(*parts[i]) != (split == "train"):
                continue
            if not files.exist(file):
                raise DataError(f"{where}: image {i} has no file {base / 'images' / file}")
            class_id = _class_id(*labels[i], len(names))
            records.append(ImageRecord(file, base / "images" / file, label[class_id], (_box(*boxes[i]),)))
        if not records:
            raise DataError(f"{base / 'train_test_split.txt'}: no image is in split {split!r}")
        return tuple(records)


class _Files:
    """Which files exist below a folder, each class folder listed once."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._names: dict[str, set[str]] = {}

    def exist(self, file: str) -> bool:
        folder, _, name = file.rpartition("/")
        if folder not in self._names:
            path = self._base / folder
            self._names[folder] = set(image_names(path)) if path.is_dir() else set()
        return name in self._names[folder]


def _table(path: Path, expected: str) -> dict[int, tuple[str, list[str]]]:
    """Image or class id -> (where, the other fields)."""
    table: dict[int, tuple[str, list[str]]] = {}
    for where, (key, *values) in rows(path, expected):
        i = integer(key, where, "the id")
        if i in table:
            raise DataError(f"{where}: id {i} is listed twice")
        table[i] = where, values
    return table


def _is_train(where: str, values: list[str]) -> bool:
    if values[0] not in ("0", "1"):
        raise DataError(f"{where}: expected 1 (train) or 0 (test), came {values[0]!r}")
    return values[0] == "1"


def _names(base: Path) -> list[str]:
    """All names of classes.txt, by class id."""
    path = base / "classes.txt"
    names = _table(path, "<class id> <class name>")
    if sorted(names) != list(range(1, len(names) + 1)):
        raise DataError(f"{path}: class ids must be 1, 2, ... without gaps, came {sorted(names)[:5]}...")
    return [names[i][1][0] for i in sorted(names)]


def _present(labels: dict[int, tuple[str, list[str]]], count: int) -> list[int]:
    """The ids of the classes that have images, sorted."""
    return sorted({_class_id(where, values, count) for where, values in labels.values()})


def _class_id(where: str, values: list[str], count: int) -> int:
    class_id = integer(values[0], where, "the class id")
    if not 1 <= class_id <= count:
        raise DataError(f"{where}: class id {class_id} is not in classes.txt, which has 1 to {count}")
    return class_id


def _box(where: str, values: list[str]) -> Box:
    x, y, width, height = (number(v, where, n) for v, n in zip(values, ("x", "y", "width", "height"), strict=True))
    if x < 0 or y < 0 or width <= 0 or height <= 0:
        raise DataError(f"{where}: expected x, y >= 0 and width, height > 0, came {' '.join(values)}")
    return x, y, x + width, y + height
