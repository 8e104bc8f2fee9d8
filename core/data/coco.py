"""COCO captions: images with five references each.

Source: Chen et al., arXiv 1504.00325; cocodataset.org. The layout is that of 2017; 2014's differs in two names:
`CocoCaptions(train="train2014", val="val2014")`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from core.data.archives import stamp
from core.data.captions import REMEDY, check_once, decode, one_line
from core.data.folders import file_names
from core.data.records import CaptionRecord, CaptionSet, DataError

_PUBLISHED = {"train2017": 118_287, "val2017": 5_000, "train2014": 82_783, "val2014": 40_504}


@dataclass(frozen=True)
class CocoCaptions(CaptionSet):
    """COCO captions. Records are sorted by image id, an image's captions by annotation id.

    White space and control characters inside a caption (line breaks are frequent) become one blank: tokens stay the
    same, and one caption is one line for every tool that reads lines (`core.data.captions.one_line`).
    """

    name: ClassVar[str] = "COCO captions"
    layout: ClassVar[str] = """
coco/annotations/captions_<SPLIT>.json
coco/<SPLIT>/*.jpg
SPLIT: train2017 and val2017, or train2014 and val2014, as the config says
"""
    official: ClassVar[dict[str, int]] = {"train": 118_287, "val": 5_000}

    folder: str = "coco"
    """The folder that holds annotations/ and the image folders."""
    train: str = "train2017"
    """The image folder of the split "train", and the end of its caption file's name."""
    val: str = "val2017"
    """The image folder of the split "val", and the end of its caption file's name."""

    def published(self, split: str) -> int:
        """As published for 2014 and 2017; 0 for folders of other names."""
        return _PUBLISHED.get(self._name(split), 0)

    def _name(self, split: str) -> str:
        self._check_split(split)
        return self.train if split == "train" else self.val

    def _captions(self, root: Path, split: str) -> Path:
        return root / self.folder / "annotations" / f"captions_{self._name(split)}.json"

    def _needs(self, root: Path, split: str) -> Iterable[tuple[Path, str]]:
        yield root / self.folder, "folder"
        yield self._captions(root, split), "file"
        yield root / self.folder / self._name(split), "folder"

    def _read(self, root: Path, split: str) -> tuple[CaptionRecord, ...]:
        path = self._captions(root, split)
        folder = root / self.folder / self._name(split)
        found = _cached(path, stamp(path))
        there = set(file_names(folder))
        for image, name in found.files.items():
            if name not in there:
                what = f"file {folder / name}" if name else '"file_name"'
                raise DataError(f"{path}: image {image} has no {what}")
        return tuple(CaptionRecord(image, folder / name, found.captions[image]) for image, name in found.files.items())


def read_captions(path: Path) -> dict[int, tuple[str, ...]]:
    """The captions of a file in COCO's format, such as captions_val2014.json, by image id; no image file is needed.

    Sorted by image id, and an image's captions by annotation id, each of them one line (`core.data.captions.one_line`).

    Raises:
        DataError: the file is unreadable, malformed or inconsistent: a key is missing or of another type, an id is
            there twice, an annotation names an unknown image, a caption is empty, an image has no caption.
    """
    return dict(_cached(Path(path), stamp(Path(path))).captions)


_Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Image(msgspec.Struct, gc=False):
    id: _Id
    file_name: str = ""  # asked for where records are read: captions alone need none


class _Annotation(msgspec.Struct, gc=False):
    id: _Id
    image_id: _Id
    caption: str


class _Content(msgspec.Struct, gc=False):
    images: list[_Image]
    annotations: list[_Annotation]


@dataclass(frozen=True)
class _Captions:
    """files: image id -> file name, sorted by id. captions: image id -> its captions, in the same order."""

    files: dict[int, str]
    captions: dict[int, tuple[str, ...]]


@lru_cache(maxsize=4)
def _cached(path: Path, _stamp: tuple[int, int]) -> _Captions:
    """Of a file as it is at this time: a run asks for its records five times, and they share the strings."""
    content = decode(
        path,
        _Content,
        "COCO captions: an object with the lists images (id, file_name) and annotations (id, image_id, caption)",
    )
    files = _files(content.images, path)
    captions: dict[int, list[str]] = {image: [] for image in files}
    content.annotations.sort(key=lambda one: one.id)
    for one in content.annotations:
        if (found := captions.get(one.image_id)) is None:
            raise DataError(f'{_where(path, one)}: there is no image {one.image_id} in "images"')
        if not (caption := one_line(one.caption)):
            raise DataError(f"{_where(path, one)}: the caption is empty, came {one.caption!r}; {REMEDY}")
        found.append(caption)
    check_once("annotation", [one.id for one in content.annotations], path)
    for image, name in files.items():
        if not captions[image]:
            raise DataError(f"{path}: image {image} ({name}) has no caption; {REMEDY}")
    return _Captions(files, {image: tuple(texts) for image, texts in captions.items()})


def _files(images: Sequence[_Image], path: Path) -> dict[int, str]:
    """Image id -> file name, sorted by id."""
    if not images:
        raise DataError(f'{path}: "images" is empty')
    files = {one.id: one.file_name for one in sorted(images, key=lambda one: one.id)}
    check_once("image", [one.id for one in images], path)
    return files


def _where(path: Path, annotation: _Annotation) -> str:
    return f"{path}: annotation {annotation.id} (image {annotation.image_id})"
