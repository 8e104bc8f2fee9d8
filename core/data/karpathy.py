"""Karpathy's splits of COCO, Flickr8k and Flickr30k: one JSON file each, with the captions in it.

Source: Karpathy and Fei-Fei, arXiv 1412.2306; the files are dataset_coco.json, dataset_flickr8k.json and
dataset_flickr30k.json of the authors' caption_datasets.zip. Of COCO 2014 they leave 5,000 images each of val2014 for
"val" and "test"; the other 30,504 are "restval", which the field adds to train2014: 113,287 to train on.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar, Final

import msgspec

from core.data.archives import stamp
from core.data.captions import REMEDY, check_once, decode, one_line
from core.data.folders import file_names, folder_names
from core.data.records import CaptionRecord, CaptionSet, DataError

SPLITS: Final = ("train", "restval", "val", "test")
"""The split names that a file may hold."""

_PUBLISHED: Final[Mapping[str, Mapping[str, int]]] = {
    "dataset_coco.json": {"train": 82_783, "restval": 30_504, "val": 5_000, "test": 5_000},
    "dataset_flickr8k.json": {"train": 6_000, "val": 1_000, "test": 1_000},
    "dataset_flickr30k.json": {"train": 29_000, "val": 1_014, "test": 1_000},
}


@dataclass(frozen=True)
class Karpathy(CaptionSet):
    """A data set in Karpathy's split. Records are sorted by image id: COCO's own where the file has it ("cocoid"),
    else the file's ("imgid"). An image's captions are the sentences' "raw" text in the order of "sentid", each of
    them one line (`core.data.captions.one_line`).
    """

    name: ClassVar[str] = "captions in Karpathy's split"
    layout: ClassVar[str] = """
dataset_coco.json, or dataset_flickr8k.json or dataset_flickr30k.json, from caption_datasets.zip
coco/{train2014,val2014}/*.jpg, or Flicker8k_Dataset/*.jpg or flickr30k-images/*.jpg
"""
    official: ClassVar[dict[str, int]] = {"train": 113_287, "val": 5_000, "test": 5_000}

    file: str = "dataset_coco.json"
    """The JSON file, below the data root."""
    folder: str = "coco"
    """The folder of the images, below the data root: the file's "filepath" and "filename" are relative to it."""
    restval: bool = True
    """Whether the split "train" has the images of "restval" too. Flickr's files have no such split."""

    def published(self, split: str) -> int:
        """As published for the three files; 0 for a file of another name."""
        counts = _PUBLISHED.get(PurePosixPath(self.file).name, {})
        return sum(counts.get(part, 0) for part in self._parts(split))

    def watched(self, root: Path, split: str) -> tuple[Path, ...]:
        """The file, the folder and those in it, of which the images' are some."""
        folder = Path(root) / self.folder
        inner = folder_names(folder) if folder.is_dir() else ()
        return (*super().watched(root, split), *(folder / name for name in inner))

    def _parts(self, split: str) -> tuple[str, ...]:
        """The file's names of what a split holds."""
        self._check_split(split)
        return ("train", "restval") if split == "train" and self.restval else (split,)

    def _needs(self, root: Path, split: str) -> Iterable[tuple[Path, str]]:
        yield root / self.folder, "folder"
        yield root / self.file, "file"

    def _read(self, root: Path, split: str) -> tuple[CaptionRecord, ...]:
        path, folder = root / self.file, root / self.folder
        parts = self._parts(split)
        entries = _cached(path, stamp(path))
        images = [one for one in entries if one.split in parts]
        if not images:
            came = ", ".join(sorted({one.split for one in entries}))
            raise DataError(f"{path}: no image is of the split {split!r}; splits there are: {came}")
        places = {name: folder / name for name in sorted({one.folder for one in images})}
        if lost := [place for place in places.values() if not place.is_dir()]:
            raise DataError(f"{path}: images lie in {lost[0]}, which is no folder.\n{self._expected(root)}")
        there = {name: set(file_names(place)) for name, place in places.items()}
        for one in images:
            if one.name not in there[one.folder]:
                raise DataError(f"{path}: image {one.id} has no file {places[one.folder] / one.name}")
        return tuple(CaptionRecord(one.id, places[one.folder] / one.name, one.captions) for one in images)


FLICKR8K: Final = Karpathy("dataset_flickr8k.json", "Flicker8k_Dataset")
"""Flickr8k (Hodosh et al., JAIR 2013): 6,000 images to train on. The folder is named as its archive spells it."""
FLICKR30K: Final = Karpathy("dataset_flickr30k.json", "flickr30k-images")
"""Flickr30k (Young et al., TACL 2014): 29,000 images to train on."""


def read_karpathy(path: Path) -> dict[str, dict[int, tuple[str, ...]]]:
    """The captions of a file by split ("train", "restval", "val", "test": those that it holds) and image id.

    Order and texts are those of `Karpathy`'s records; no image file is needed.

    Raises:
        DataError: the file is unreadable, malformed or inconsistent: a key is missing or of another type, a split has
            another name, an image is there twice or has no sentence, a sentence's id is there twice or its text empty.
    """
    found: dict[str, dict[int, tuple[str, ...]]] = {}
    for one in _cached(Path(path), stamp(Path(path))):
        found.setdefault(one.split, {})[one.id] = one.captions
    return {split: found[split] for split in SPLITS if split in found}


_Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Sentence(msgspec.Struct, gc=False):
    raw: str
    sentid: _Id


class _Image(msgspec.Struct, gc=False):
    filename: str
    split: str
    imgid: _Id
    sentences: list[_Sentence]
    filepath: str = ""
    cocoid: _Id | None = None


class _Content(msgspec.Struct, gc=False):
    images: list[_Image]


@dataclass(frozen=True, slots=True)
class _Entry:
    """An image as the file has it: `folder` and `name` of its file, its split and captions."""

    id: int
    split: str
    folder: str
    name: str
    captions: tuple[str, ...]


@lru_cache(maxsize=2)
def _cached(path: Path, _stamp: tuple[int, int]) -> tuple[_Entry, ...]:
    """Of a file as it is at this time, sorted by id: a run asks for its records five times."""
    content = decode(
        path,
        _Content,
        "Karpathy's format: an object with the list images (filename, split, imgid, sentences, of COCO filepath and "
        "cocoid too), of sentences with raw and sentid",
    )
    if not content.images:
        raise DataError(f'{path}: "images" is empty')
    _check_splits(content.images, path)
    coco = content.images[0].cocoid is not None
    entries = sorted((_entry(one, coco, path) for one in content.images), key=lambda one: one.id)
    check_once("image", [one.id for one in entries], path)
    check_once("sentence", [two.sentid for one in content.images for two in one.sentences], path)
    return tuple(entries)


def _entry(image: _Image, coco: bool, path: Path) -> _Entry:
    where = f"{path}: image {image.imgid} ({image.filename})"
    if coco is (image.cocoid is None):
        raise DataError(f'{where}: expected "cocoid" of all images or of none; {"it has none" if coco else "it has"}')
    if not image.sentences:
        raise DataError(f"{where}: it has no caption; {REMEDY}")
    folder = PurePosixPath(image.filepath)
    if folder.is_absolute() or ".." in folder.parts:
        raise DataError(f'{where}: "filepath" must be a folder below that of the images, came {image.filepath!r}')
    captions = []
    for sentence in sorted(image.sentences, key=lambda one: one.sentid):
        if not (caption := one_line(sentence.raw)):
            raise DataError(
                f"{where}: sentence {sentence.sentid}: the caption is empty, came {sentence.raw!r}; {REMEDY}"
            )
        captions.append(caption)
    id = image.imgid if image.cocoid is None else image.cocoid
    return _Entry(id, image.split, image.filepath, image.filename, tuple(captions))


def _check_splits(images: Sequence[_Image], path: Path) -> None:
    counts = Counter(one.split for one in images)
    if unknown := [name for name in counts if name not in SPLITS]:
        shown = ", ".join(f"{name!r} ({counts[name]:,} images)" for name in unknown[:5])
        first = next(one for one in images if one.split in unknown)
        raise DataError(
            f"{path}: unknown splits: {shown}{', ...' if len(unknown) > 5 else ''}; the first is that of image "
            f"{first.imgid} ({first.filename}). Known are: {', '.join(SPLITS)}"
        )
