"""CIFAR-10 and CIFAR-100 from their python pickles, in the folder or in the .tar.gz as it was downloaded.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, and the sets' page at the University
of Toronto. A row is 3072 bytes: 1024 of red, then green, then blue, each 32 x 32 and row by row. The labels of
CIFAR-100 are the fine ones. What the sets call "test" is what papers validate on: here it is "val", and "test" too.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data.archives import read_tar, stamp
from core.data.pickles import read_pickle
from core.data.pictures import Decoded, Picture, Stored
from core.data.published import Published, say_if_subset
from core.data.records import DataError, DataSet, ImageRecord

_SIDE = 32
_BYTES = 3 * _SIDE * _SIDE


class Content(NamedTuple):
    """What a batch file holds. pixels: [N, 3, 32, 32] uint8; labels and names have N entries, names may have none."""

    pixels: NDArray[np.uint8]
    labels: list[int]
    names: list[str]


class Batch:
    """A batch file. Small: it travels to other processes, and is read once in each that needs its pixels."""

    def __init__(self, file: Path, members: tuple[str, ...], member: str, key: str) -> None:
        """Name a file.

        Args:
            file: the batch file, or the archive that holds it.
            members: all members that are read of the archive; none where `file` is the batch itself.
            member: which of them this is, or the file's name.
            key: the labels' key.
        """
        self.file, self.members, self.member, self.key = file, members, member, key

    def __getstate__(self) -> dict[str, Any]:
        """What travels: the content does not."""
        return {name: value for name, value in vars(self).items() if name != "content"}

    @property
    def where(self) -> str:
        """What messages call it."""
        return f"{self.file}: member {self.member}" if self.members else str(self.file)

    @cached_property
    def content(self) -> Content:
        """Its pixels, labels and names. DataError: broken, or not what CIFAR's batches hold."""
        return _content(self.load(), self.key, self.where)

    def load(self) -> dict[str, Any]:
        """The pickle's dictionary. DataError: broken or refused."""
        if self.members:
            return _archive(self.file, stamp(self.file), self.members)[self.member]
        try:
            with self.file.open("rb") as file:
                return read_pickle(file, self.where)
        except OSError as error:
            raise DataError(f"{self.file}: cannot be read ({error.strerror})") from error


@dataclass(frozen=True, slots=True)
class Row(Stored):
    """An image of a batch file."""

    batch: Batch
    index: int

    @property
    def where(self) -> str:
        """The file and the row."""
        return f"{self.batch.where}, image {self.index}"

    @property
    def nbytes(self) -> int:
        """The pixels', which are stored as they are."""
        return _BYTES

    def open(self) -> Picture:
        """The image, 32 x 32."""
        return Decoded(np.ascontiguousarray(self.batch.content.pixels[self.index].transpose(1, 2, 0)))

    def read_bytes(self) -> bytes:
        """Refused: it has no file, and such a set, which is read into memory once, would gain nothing by packing."""
        raise DataError(f"{self.where}: the image is a row of an array, no file; such a set is read as it is, unpacked")


@dataclass(frozen=True)
class _Cifar(DataSet[ImageRecord]):
    """What both have in common. `id` is "<batch file>/<row>_<name>", the name that the set gives the image."""

    official: ClassVar[dict[str, int]] = {"train": 50_000, "val": 10_000, "test": 10_000}
    published_as: ClassVar[Published]
    """The archive, with the MD5 that the set's page states, and its files'."""
    batches: ClassVar[dict[str, tuple[str, ...]]]
    """The batch files of each split."""
    meta: ClassVar[tuple[str, str]]
    """The file of the class names, and their key."""
    labels: ClassVar[str]
    """The labels' key."""

    folder: str = ""
    """The folder of the batch files, below the data root."""
    archive: str = ""
    """The archive that is read where there is no such folder."""

    def classes(self, root: Path) -> tuple[str, ...]:
        """Class names, as the set spells them: "aquarium_fish"."""
        file, key = self.meta
        batch = self._batch(Path(root), file)
        if not batch.file.is_file():
            raise DataError(f"{self.name}: file {batch.file} does not exist.\n{self._expected(Path(root))}")
        names = batch.load().get(key)
        if not isinstance(names, list) or not names or not all(isinstance(name, bytes | str) for name in names):
            raise DataError(f"{batch.where}: expected class names under {key!r}, came {type(names).__name__}")
        return tuple(_text(name) for name in names)

    def _needs(self, root: Path, split: str) -> Iterable[tuple[Path, str]]:
        if not (root / self.folder).is_dir() and (root / self.archive).is_file():
            yield root / self.archive, "file"
            return
        yield root / self.folder, "folder"
        for file in (*self.batches[split], self.meta[0]):
            yield root / self.folder / file, "file"

    def _read(self, root: Path, split: str) -> tuple[ImageRecord, ...]:
        classes = len(self.classes(root))
        records: list[ImageRecord] = []
        for file in self.batches[split]:
            batch = self._batch(root, file)
            _, labels, names = batch.content
            if labels and not 0 <= min(labels) <= max(labels) < classes:
                raise DataError(
                    f"{batch.where}: expected labels 0 to {classes - 1}, came {min(labels)} to {max(labels)}"
                )
            ends = [f"_{name}" for name in names] or [""] * len(labels)
            records += [
                ImageRecord(f"{file}/{index:05d}{end}", Row(batch, index), label)
                for index, (label, end) in enumerate(zip(labels, ends, strict=True))
            ]
        if not records:
            raise DataError(f"{batch.where}: split {split!r} has no image")
        say_if_subset(self.name, split, root, len(records), self.official[split])
        return tuple(records)

    def _batch(self, root: Path, file: str) -> Batch:
        if (root / self.folder).is_dir() or not (root / self.archive).is_file():
            path = root / self.folder / file
            return _cached(path, (), file, self.labels, stamp(path) if path.is_file() else (0, 0))
        files = sorted({name for names in self.batches.values() for name in names} | {self.meta[0]})
        members = tuple(f"{self.published_as.folder}/{name}" for name in files)
        path = root / self.archive
        return _cached(path, members, f"{self.published_as.folder}/{file}", self.labels, stamp(path))


@dataclass(frozen=True)
class CIFAR100(_Cifar):
    """CIFAR-100 with its 100 fine classes."""

    name: ClassVar[str] = "CIFAR-100"
    layout: ClassVar[str] = """
cifar-100-python/{train,test,meta}   the python version, unpacked
or cifar-100-python.tar.gz           as it is downloaded: python -m core.data.download cifar100 --data-root DIR
"""
    published_as: ClassVar[Published] = Published(
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        "cifar-100-python.tar.gz",
        "eb9058c3a382ffc7106e4002c42a8d85",
        "cifar-100-python",
        {
            "train": "16019d7e3df5f24257cddd939b257f8d",
            "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
            "meta": "7973b15100ade9c7d40fb424638fde48",
        },
    )
    batches: ClassVar[dict[str, tuple[str, ...]]] = {"train": ("train",), "val": ("test",), "test": ("test",)}
    meta: ClassVar[tuple[str, str]] = ("meta", "fine_label_names")
    labels: ClassVar[str] = "fine_labels"

    folder: str = "cifar-100-python"
    """The folder of the batch files, below the data root."""
    archive: str = "cifar-100-python.tar.gz"
    """The archive that is read where there is no such folder."""


@dataclass(frozen=True)
class CIFAR10(_Cifar):
    """CIFAR-10."""

    name: ClassVar[str] = "CIFAR-10"
    layout: ClassVar[str] = """
cifar-10-batches-py/{data_batch_1, ..., data_batch_5, test_batch, batches.meta}   the python version, unpacked
or cifar-10-python.tar.gz   as it is downloaded: python -m core.data.download cifar10 --data-root DIR
"""
    published_as: ClassVar[Published] = Published(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "cifar-10-python.tar.gz",
        "c58f30108f718f92721af3b95e74349a",
        "cifar-10-batches-py",
        {
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            "test_batch": "40351d587109b95175f43aff81a1287e",
            "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
        },
    )
    batches: ClassVar[dict[str, tuple[str, ...]]] = {
        "train": tuple(f"data_batch_{i}" for i in range(1, 6)),
        "val": ("test_batch",),
        "test": ("test_batch",),
    }
    meta: ClassVar[tuple[str, str]] = ("batches.meta", "label_names")
    labels: ClassVar[str] = "labels"

    folder: str = "cifar-10-batches-py"
    """The folder of the batch files, below the data root."""
    archive: str = "cifar-10-python.tar.gz"
    """The archive that is read where there is no such folder."""


@lru_cache(maxsize=32)
def _cached(file: Path, members: tuple[str, ...], member: str, key: str, _stamp: tuple[int, int]) -> Batch:
    """One object for a file until it changes, so that each process reads it once."""
    return Batch(file, members, member, key)


@lru_cache(maxsize=1)
def _archive(path: Path, _stamp: tuple[int, int], members: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """All pickles of an archive: unpacking it a second time for the next of them would take a second each."""
    files = read_tar(path, members)
    return {member: read_pickle(BytesIO(files[member]), f"{path}: member {member}") for member in members}


def _content(values: dict[str, Any], key: str, where: str) -> Content:
    if lacking := [name for name in ("data", key) if name not in values]:
        raise DataError(f"{where}: expected {', '.join(lacking)}; there are {', '.join(values)}")
    data, labels, names = values["data"], values[key], values.get("filenames", [])
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != _BYTES:
        came = f"an array of {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise DataError(f"{where}: expected data of [N, {_BYTES}] uint8 (32 x 32 RGB), came {came}")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels) or len(labels) != len(data):
        count = f"{len(labels)} entries" if isinstance(labels, list) else type(labels).__name__
        raise DataError(f"{where}: expected a list of {len(data)} whole numbers under {key!r}, came {count}")
    if not isinstance(names, list) or len(names) not in (0, len(data)):
        raise DataError(f"{where}: expected {len(data)} file names, or none")
    pixels = np.ascontiguousarray(data).reshape(-1, 3, _SIDE, _SIDE)
    return Content(pixels, labels, [_text(name) for name in names])


def _text(name: bytes | str) -> str:
    return name.decode("latin1") if isinstance(name, bytes) else str(name)
