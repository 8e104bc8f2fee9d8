"""What a data set is: a folder layout, read into records. Every data set here is a small frozen dataclass.

A record holds what an image's file and annotations say and nothing decoded; `core.data.images.read_rgb` decodes.
Boxes are (x0, y0, x1, y1) in pixels of the image as stored (EXIF orientation is not applied), origin 0 at the top
left corner, half-open: x1 - x0 is the width. Every data set converts its own convention to this one.

Records come in a fixed order that does not depend on the order of files on disk or of lines in annotation files, so
that sample index i means the same image on every machine.

Nothing in this folder imports torch.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from core.data.pictures import Source, Stored
from core.errors import UserError

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels, half-open, origin 0."""


class DataError(UserError):
    """A data set on disk is not what it must be: the message names the file, what was expected and what came."""


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image with one class. `path`: its file, or where it is stored. `size` (width, height) and `boxes` (in its
    pixels) are there where an annotation states them."""

    id: str
    path: Source
    label: int
    boxes: tuple[Box, ...] = ()
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class SceneRecord:
    """One image with any number of objects: `boxes`, `labels` (0-based) and `difficult` have one entry each."""

    id: str
    path: Path
    size: tuple[int, int]
    boxes: tuple[Box, ...]
    labels: tuple[int, ...]
    difficult: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class CaptionRecord:
    """One image with at least one caption, in the order of the annotations' ids; each is a line of text that is not
    empty, without control characters (`core.data.captions.one_line`)."""

    id: int
    path: Path
    captions: tuple[str, ...]


R = TypeVar("R", ImageRecord, SceneRecord, CaptionRecord)


@dataclass(frozen=True)
class DataSet(ABC, Generic[R]):
    """A data set in its official layout. Fields are folder names below the data root.

    To add one: subclass as a frozen dataclass, set the three class variables, write `_needs` and `_read`.
    """

    name: ClassVar[str]
    """The name that people know it by."""
    layout: ClassVar[str]
    """The expected folders and files below the data root, several lines, shown when something is missing."""
    official: ClassVar[dict[str, int]]
    """Its splits, and how many images the published set has in each (with the default fields)."""

    def records(self, root: Path, split: str) -> tuple[R, ...]:
        """All records of a split, in a fixed order. DataError: something is missing, malformed or inconsistent."""
        if message := self.missing(root, split):
            raise DataError(message)
        return self._read(Path(root), split)

    def missing(self, root: Path, split: str, *, boxes: bool = False) -> str | None:
        """None where the split's folders and files stand below `root`, else what is missing. Lists no big folder.

        boxes: ask for those of the boxes too, where a data set has them beside its images (`_box_needs`).
        """
        self._check_split(split)
        root = Path(root)
        if not root.is_dir():
            return f"{self.name}, split {split!r}: the data root {root} {_what(root)}.\n{_SAY}{self._expected(root)}"
        for path, kind in [*self._needs(root, split), *(self._box_needs(root, split) if boxes else ())]:
            there = path.is_dir() if kind == "folder" else path.is_file()
            if not there:
                what = f"{kind} {path} {_what(path)}.\n{_beside(root, path)}"
                return f"{self.name}, split {split!r}: {what}{self._expected(root)}"
        if (wrong := self._misplaced(root, split)) is not None:
            return f"{self.name}, split {split!r}: {wrong}.\n{self._expected(root)}"
        return None

    def published(self, split: str) -> int:
        """How many images the published set has in this split: what a plan counts where the data is not there."""
        self._check_split(split)
        return self.official[split]

    def classes(self, root: Path) -> tuple[str, ...]:
        """Class names; a label is an index into them."""
        raise DataError(f"{self.name} has no classes (data root {root})")

    def watched(self, root: Path, split: str) -> tuple[Path, ...]:
        """Folders and files whose change says that the records may have changed: few enough to `stat` at each launch.

        The default is what must exist, the annotations' folders and the split files among it.
        """
        return tuple(path for path, _ in [*self._needs(Path(root), split), *self._box_needs(Path(root), split)])

    def fingerprint(self, root: Path, split: str, records: Sequence[R] | None = None, *, boxes: bool = False) -> str:
        """16 hex digits over ids, annotations and the sizes of the image files: the split's identity.

        Independent of where the root is and of the order of files. One `stat` per image, no image is opened, so that a
        file changed in place without changing its size goes unnoticed.

        Args:
            root: the data root. split: the split.
            records: those of this split where they were read already, else they are read here.
            boxes: whether `boxes` and `size` of an `ImageRecord` are part of it: for whom reads them. A classifier
                does not, so that boxes added to a data set leave its identity as it was. The other kinds of records
                are all annotation, and hashed whole.

        Raises:
            DataError: something is missing, boxes included where they are asked for.
        """
        if records is None:
            if message := self.missing(root, split, boxes=boxes):
                raise DataError(message)
            records = self._read(Path(root), split)
        annotations = {**_ANNOTATIONS, ImageRecord: _ANNOTATIONS[ImageRecord] if boxes else attrgetter("id", "label")}
        digest = hashlib.sha256(f"{self.name}/{split}/{len(records)}\n".encode())
        for record in sorted(records, key=attrgetter("id")):
            digest.update(f"{annotations[type(record)](record)!r} {file_size(record.path)}\n".encode())
        return digest.hexdigest()[:16]

    @abstractmethod
    def _needs(self, root: Path, split: str) -> Iterable[tuple[Path, str]]:
        """(path, "folder" or "file") of what must exist for this split, outermost first."""

    def _box_needs(self, root: Path, split: str) -> Iterable[tuple[Path, str]]:
        """What must exist beside `_needs` for the records to have boxes. Default: nothing more."""
        return ()

    @abstractmethod
    def _read(self, root: Path, split: str) -> tuple[R, ...]:
        """The records of an existing split (`_needs` was checked)."""

    def _misplaced(self, root: Path, split: str) -> str | None:
        """What is wrong with the layout though all of `_needs` exists; None where nothing is. Must be cheap."""
        return None

    def _check_split(self, split: str) -> None:
        if split not in self.official:
            raise DataError(f"{self.name} has no split {split!r}. Splits there are: {', '.join(self.official)}")

    def _expected(self, root: Path) -> str:
        layout = "\n".join(f"  {line}" for line in self.layout.strip().splitlines())
        return f"Expected below the data root {root.absolute()}:\n{layout}"


@dataclass(frozen=True)
class Naming:
    """How a COCO results file calls the images and classes of a detection data set."""

    categories: tuple[int, ...]
    """`category_id` by label."""
    numbers: bool = False
    """Whether an `image_id` is a number, as in COCO, or the id as it stands, as in VOC ("000005")."""

    def image_id(self, id: str) -> str | int:
        """What a results file calls the image of this record id; `str` of it is the id again."""
        return int(id) if self.numbers else id


class SceneSet(DataSet[SceneRecord]):
    """A detection data set: its splits are "train" and "test"."""

    def naming(self, root: Path) -> Naming:
        """Default: ids as they stand, and a class's id is its label."""
        return Naming(tuple(range(len(self.classes(root)))))


class CaptionSet(DataSet[CaptionRecord]):
    """A captioning data set: one of its splits is "train". No two records of a split have one id.

    Whether two splits share images is not looked at here: `core.data.overlap` finds them.
    """


@dataclass(frozen=True)
class Need:
    """A split that a run reads."""

    data: DataSet[Any]
    split: str
    boxes: bool = False
    """Whether boxes and sizes of an `ImageRecord` are read too: they must be there, and count in the fingerprint."""


def _what(path: Path) -> str:
    """Why a path is not the folder or file that it should be."""
    if path.is_symlink() and not path.exists():
        return f"is a link to {path.readlink()}, which does not exist"
    return "is of another kind (file or folder)" if path.exists() else "does not exist"


def _beside(root: Path, path: Path) -> str:
    """The remedy where a data set's own folder is missing; it names the root that is meant if that is one level off."""
    if path.parent != root:
        return ""
    try:
        places = (root.absolute().parent, *sorted(one for one in root.iterdir() if one.is_dir()))
        # A synthetic world (its mark: core.data.synthetic.world) is not what who lacks a real set wants.
        real = [place for place in places if (place / path.name).exists() and not (place / "world.json").exists()]
    except OSError:  # a folder that may not be listed
        real = []
    if not real:
        return _SAY
    return f"There is {real[0] / path.name}: say --data-root {real[0]} (of make: DATA={real[0]}).\n"


_SAY = "--data-root FOLDER says where the data is (of make: DATA=FOLDER).\n"


_ANNOTATIONS = {
    kind: attrgetter(*(field.name for field in fields(kind) if field.name != "path"))
    for kind in (ImageRecord, SceneRecord, CaptionRecord)
}
"""What an identity is made of: every field but where the file lies."""


def file_size(path: Source) -> int:
    """Bytes of an image as stored. DataError: the file cannot be read."""
    if isinstance(path, Stored):
        return path.nbytes
    try:
        return path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: the image file cannot be read ({error.strerror})") from error
