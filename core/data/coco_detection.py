"""COCO's boxes as a data set for detectors: image folders and an instances file for each split.

Source: Lin et al., arXiv 1405.0312; cocodataset.org. As torchvision's and detectron2's training do, images without an
object to learn are left out of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from core.data.coco_instances import Category, Instances, read_instances
from core.data.folders import file_names
from core.data.records import DataError, Naming, SceneRecord, SceneSet

_PUBLISHED = {"train2017": 118_287, "val2017": 5_000, "train2014": 82_783, "val2014": 40_504}
_EMPTY = {"train2017": 1_021}  # of them without a box that is no crowd: 117,266 are left


@dataclass(frozen=True)
class CocoDetection(SceneSet):
    """COCO's boxes. The default is the field's standard: train on train2017, test on val2017.

    A record's id is the image's in decimal digits; records are sorted by its number. Crowds and objects marked as
    "ignore" are difficult: they are not trained on. A box is cut to its image.
    """

    name: ClassVar[str] = "COCO"
    layout: ClassVar[str] = """
coco/annotations/instances_<SPLIT>.json
coco/<SPLIT>/*.jpg
SPLIT: train2017 and val2017, or others, as the config says
"""
    official: ClassVar[dict[str, int]] = {"train": 117_266, "test": 5_000}

    folder: str = "coco"
    """The folder that holds annotations/ and the image folders."""
    train: str = "train2017"
    """The image folder of the split "train", and the end of its JSON file's name."""
    test: str = "val2017"
    """The image folder of the split "test", and the end of its JSON file's name."""
    keep_empty: bool = False
    """Whether training has the images without an object to learn, too. The test always has them."""

    def published(self, split: str) -> int:
        """As published for 2014 and 2017, without those that are left out of 2017; 0 for folders of other names."""
        name = self._name(split)
        return _PUBLISHED.get(name, 0) - (_EMPTY.get(name, 0) if self._drops(split) else 0)

    def classes(self, root: Path) -> tuple[str, ...]:
        """The category names of the test's file, sorted by id."""
        return tuple(category.name for category in self._categories(root))

    def naming(self, root: Path) -> Naming:
        """The file's category ids; an image's id is a number."""
        return Naming(tuple(category.id for category in self._categories(root)), numbers=True)

    def instances(self, root: Path, split: str) -> Instances:
        """The split's file as it is. DataError: it is missing or malformed."""
        if message := self.missing(root, split):
            raise DataError(message)
        return read_instances(self._file(Path(root), split))

    def _drops(self, split: str) -> bool:
        return split == "train" and not self.keep_empty

    def _name(self, split: str) -> str:
        self._check_split(split)
        return self.train if split == "train" else self.test

    def _file(self, root: Path, split: str) -> Path:
        return root / self.folder / "annotations" / f"instances_{self._name(split)}.json"

    def _needs(self, root: Path, split: str) -> Iterable[tuple[Path, str]]:
        yield root / self.folder, "folder"
        yield self._file(root, split), "file"
        yield root / self.folder / self._name(split), "folder"

    def _read(self, root: Path, split: str) -> tuple[SceneRecord, ...]:
        path = self._file(root, split)
        found = read_instances(path)
        other = self._file(root, "test")
        if split == "train" and other.is_file() and (categories := self._categories(root)) != found.categories:
            differ = sorted(set(found.categories) ^ set(categories), key=lambda one: one.id)
            raise DataError(f"{path}: its categories are not those of {other}; they differ in {_shown(differ)}")
        folder = root / self.folder / self._name(split)
        there = set(file_names(folder))
        for image in found.images:
            if image.file_name not in there and not (folder / image.file_name).is_file():  # a name may have folders
                raise DataError(f"{path}: image {image.id} has no file {folder / image.file_name}")
        scenes = found.scenes(folder)
        if self._drops(split):
            scenes = tuple(scene for scene in scenes if not all(scene.difficult))
        if not scenes:
            raise DataError(f"{path}: none of {len(found.images)} images has an object to learn")
        return scenes

    def _categories(self, root: Path) -> tuple[Category, ...]:
        path = self._file(Path(root), "test")
        if message := self.missing(root, "test"):
            raise DataError(message)
        stat = path.stat()
        return _categories(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def _categories(path: Path, mtime: int, size: int) -> tuple[Category, ...]:
    """Of a file as it is at this time: asked for often, and slow to read."""
    return read_instances(path).categories


def _shown(categories: Sequence[Category]) -> str:
    shown = ", ".join(f"{one.id} ({one.name})" for one in categories[:5])
    return shown + (", ..." if len(categories) > 5 else "")
