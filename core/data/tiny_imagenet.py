"""Tiny-ImageNet: 200 classes of ImageNet at 64 x 64 pixels, from its zip read in place, or unpacked.

Source: Stanford's course CS231n. Labels are the sorted WordNet ids, the order of their folders, not that of wnids.txt.
The val images have a box each: corners x0, y0, x1, y1, pixels counted from 0, x1 and y1 inclusive (in the published
files 0 and 63 are frequent and 64 does not occur), in 64 x 64 pixels; here (x0, y0, x1 + 1, y1 + 1). The boxes of the
train images, which nothing here needs, are not read. The images of test have no labels.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from core.data.archives import ZipArchive, open_zip
from core.data.folders import IMAGE_SUFFIXES, folder_names, image_names
from core.data.parsing import number, read_text
from core.data.pictures import Source
from core.data.published import Published, say_if_subset
from core.data.records import Box, DataError, DataSet, ImageRecord
from core.data.zipped import ZipImage

_SIDE = 64
_WNIDS, _WORDS, _ANNOTATIONS = "wnids.txt", "words.txt", "val/val_annotations.txt"


@dataclass(frozen=True)
class TinyImageNet(DataSet[ImageRecord]):
    """Tiny-ImageNet. `id` is "<wnid>/<file>" in train and "<file>" in val; only val has boxes."""

    name: ClassVar[str] = "Tiny-ImageNet"
    layout: ClassVar[str] = """
tiny-imagenet-200.zip   as it is downloaded: python -m core.data.download tiny_imagenet --data-root DIR
or unpacked:
tiny-imagenet-200/wnids.txt                           the classes' WordNet ids
tiny-imagenet-200/train/<wnid>/images/*.JPEG
tiny-imagenet-200/val/images/*.JPEG
tiny-imagenet-200/val/val_annotations.txt             <file> <wnid> <x0> <y0> <x1> <y1>
"""
    official: ClassVar[dict[str, int]] = {"train": 100_000, "val": 10_000}
    published_as: ClassVar[Published] = Published(
        "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        "tiny-imagenet-200.zip",
        "90528d7ca1a48142e341f4ef8d21d0de",
        "tiny-imagenet-200",
    )
    """The zip, with the MD5 that public code checks it by: its authors state none."""

    folder: str = "tiny-imagenet-200"
    """The folder of wnids.txt, train and val, below the data root."""
    archive: str = "tiny-imagenet-200.zip"
    """The zip that is read where there is no such folder."""

    def classes(self, root: Path) -> tuple[str, ...]:
        """The WordNet ids, sorted: "n01443537", ..."""
        tree = self._tree(Path(root))
        wnids = [line.strip() for line in tree.text(_WNIDS).splitlines() if line.strip()]
        if not wnids or len(set(wnids)) != len(wnids):
            raise DataError(
                f"{tree.where(_WNIDS)}: expected different WordNet ids, one a line, came {len(wnids)} lines"
            )
        return tuple(sorted(wnids))

    def words(self, root: Path) -> dict[str, str]:
        """WordNet id -> its words ("goldfish, Carassius auratus"), for the ids in words.txt."""
        lines = self._tree(Path(root)).text(_WORDS).splitlines()
        return {wnid: text.strip() for wnid, _, text in (line.partition("\t") for line in lines) if text}

    def watched(self, root: Path, split: str) -> tuple[Path, ...]:
        """Of a folder the image folders too, which change with their images."""
        base = Path(root) / self.folder
        if split == "val":
            folders = [base / "val" / "images"]
        else:
            train = base / "train"
            folders = [train / wnid / "images" for wnid in folder_names(train)] if train.is_dir() else []
        return (*super().watched(root, split), *(folders if base.is_dir() else ()))

    def _needs(self, root: Path, split: str) -> Iterable[tuple[Path, str]]:
        base = root / self.folder
        if not base.is_dir():
            yield root / self.archive, "file"
            return
        yield base / _WNIDS, "file"
        yield base / split, "folder"
        if split == "val":
            yield base / "val" / "images", "folder"
            yield base / _ANNOTATIONS, "file"

    def _tree(self, root: Path) -> "_Tree":
        if (root / self.folder).is_dir():
            return _Folder(root / self.folder)
        if not (root / self.archive).is_file():
            raise DataError(f"{self.name}: file {root / self.archive} does not exist.\n{self._expected(root)}")
        return _zip(open_zip(root / self.archive), f"{self.published_as.folder}/")

    def _read(self, root: Path, split: str) -> tuple[ImageRecord, ...]:
        labels = {wnid: label for label, wnid in enumerate(self.classes(root))}
        tree = self._tree(root)
        records = tuple(_train(tree, labels) if split == "train" else _val(tree, labels))
        say_if_subset(self.name, split, root, len(records), self.official[split])
        return records


class _Tree(ABC):
    """The published folder, wherever it lies."""

    @abstractmethod
    def where(self, name: str) -> str:
        """What messages call a file of it."""

    @abstractmethod
    def text(self, name: str) -> str:
        """A text file."""

    @abstractmethod
    def folders(self, name: str) -> list[str]:
        """The folders in a folder, sorted."""

    @abstractmethod
    def images(self, name: str) -> list[tuple[str, Source]]:
        """The images in a folder, sorted by file name."""


class _Folder(_Tree):
    def __init__(self, base: Path) -> None:
        self.base = base

    def where(self, name: str) -> str:
        return str(self.base / name)

    def text(self, name: str) -> str:
        return read_text(self.base / name)

    def folders(self, name: str) -> list[str]:
        return folder_names(self.base / name) if (self.base / name).is_dir() else []

    def images(self, name: str) -> list[tuple[str, Source]]:
        folder = self.base / name
        return [(image, folder / image) for image in image_names(folder)] if folder.is_dir() else []


class _Zip(_Tree):
    def __init__(self, archive: ZipArchive, prefix: str) -> None:
        self.archive, self.prefix = archive, prefix
        self._groups: dict[str, list[str]] = {}
        for name in self.archive.members:
            if name.startswith(prefix):
                folder, _, file = name[len(prefix) :].rpartition("/")
                self._groups.setdefault(folder, []).append(file)

    def where(self, name: str) -> str:
        return f"{self.archive.path}: member {self.prefix}{name}"

    def text(self, name: str) -> str:
        member = self.archive.members.get(self.prefix + name)
        if member is None:
            raise DataError(f"{self.where(name)} is not in the archive, which has {len(self.archive.members)} files")
        try:
            return self.archive.read(member).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{self.where(name)}: expected UTF-8 text, came {error}") from error

    def folders(self, name: str) -> list[str]:
        return sorted({path.split("/")[1] for path in self._groups if path.startswith(f"{name}/") and path.count("/")})

    def images(self, name: str) -> list[tuple[str, Source]]:
        members, archive, base = self.archive.members, self.archive, f"{self.prefix}{name}/"
        files = sorted(file for file in self._groups.get(name, ()) if file.lower().endswith(IMAGE_SUFFIXES))
        return [(file, ZipImage(archive, members[base + file])) for file in files if file[0] != "."]


@lru_cache(maxsize=4)
def _zip(archive: ZipArchive, prefix: str) -> _Zip:
    """One for an archive, so that its members are put into folders once in a process."""
    return _Zip(archive, prefix)


def _train(tree: _Tree, labels: dict[str, int]) -> Iterator[ImageRecord]:
    if strangers := [wnid for wnid in tree.folders("train") if wnid not in labels]:
        raise DataError(
            f"{tree.where('train')}: {len(strangers)} class folders are not in {_WNIDS}: {', '.join(strangers[:10])}"
        )
    for wnid, label in labels.items():
        images = tree.images(f"train/{wnid}/images")
        if not images:
            raise DataError(f"{tree.where(f'train/{wnid}/images')}: no image of this class")
        for file, source in images:
            yield ImageRecord(f"{wnid}/{file}", source, label)


def _val(tree: _Tree, labels: dict[str, int]) -> Iterator[ImageRecord]:
    annotations: dict[str, tuple[int, Box]] = {}
    for i, line in enumerate(tree.text(_ANNOTATIONS).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{tree.where(_ANNOTATIONS)}:{i}"
        fields = line.split()
        if len(fields) != 6:
            raise DataError(f"{where}: expected 6 fields, <file> <wnid> <x0> <y0> <x1> <y1>; came {line!r:.120}")
        file, wnid, *corners = fields
        if wnid not in labels:
            raise DataError(f"{where}: image {file} is of class {wnid}, which is not in {_WNIDS}")
        if file in annotations:
            raise DataError(f"{where}: image {file} is listed twice")
        annotations[file] = labels[wnid], _box(corners, where)
    images = dict(tree.images("val/images"))
    if odd := sorted(images.keys() ^ annotations.keys()):
        lacks = "has no line in val_annotations.txt" if odd[0] in images else "is in val_annotations.txt and not there"
        raise DataError(f"{tree.where(f'val/images/{odd[0]}')} {lacks} ({len(odd)} in all)")
    if not images:
        raise DataError(f"{tree.where('val/images')}: no image")
    for file, source in images.items():
        label, box = annotations[file]
        yield ImageRecord(file, source, label, (box,), (_SIDE, _SIDE))


def _box(corners: list[str], where: str) -> Box:
    x0, y0, x1, y1 = (number(v, where, name) for v, name in zip(corners, ("x0", "y0", "x1", "y1"), strict=True))
    if not (0 <= x0 <= x1 < _SIDE and 0 <= y0 <= y1 < _SIDE):
        raise DataError(f"{where}: expected 0 <= x0 <= x1 <= 63 and 0 <= y0 <= y1 <= 63, came {' '.join(corners)}")
    return x0, y0, x1 + 1, y1 + 1
