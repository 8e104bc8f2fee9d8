"""COCO captions: images with five references each.

Source: Chen et al., arXiv 1504.00325; cocodataset.org. The layout is that of 2017; 2014's differs in two names:
`CocoCaptions(train="train2014", val="val2014")`.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from core.data.folders import file_names
from core.data.parsing import read_text
from core.data.records import CaptionRecord, CaptionSet, DataError

_PUBLISHED = {"train2017": 118_287, "val2017": 5_000, "train2014": 82_783, "val2014": 40_504}


@dataclass(frozen=True)
class CocoCaptions(CaptionSet):
    """COCO captions. Records are sorted by image id, an image's captions by annotation id.

    White space inside a caption (line breaks are frequent) becomes one blank: tokens stay the same, and one caption
    is one line for every tool that reads lines.
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
        content = _load(path)
        files = _files(content["images"], folder, path)
        captions: dict[int, list[tuple[int, str]]] = {i: [] for i in files}
        seen: set[int] = set()
        for annotation in content["annotations"]:
            key, image, caption = _fields(annotation, {"id": int, "image_id": int, "caption": str}, path, "annotations")
            where = f"{path}: annotation {key} (image {image})"
            if key in seen:
                raise DataError(f"{where}: this annotation id is there twice")
            seen.add(key)
            if image not in captions:
                raise DataError(f'{where}: there is no image {image} in "images"')
            if not (words := caption.split()):
                raise DataError(f"{where}: the caption is empty, came {caption!r}")
            captions[image].append((key, " ".join(words)))
        for image, name in files.items():
            if not captions[image]:
                raise DataError(f"{path}: image {image} ({name}) has no caption")
        return tuple(
            CaptionRecord(image, folder / files[image], tuple(text for _, text in sorted(captions[image])))
            for image in sorted(files)
        )


def _files(images: list[Any], folder: Path, path: Path) -> dict[int, str]:
    """Image id -> file name, each of which exists in `folder`."""
    there = set(file_names(folder))
    files: dict[int, str] = {}
    for entry in images:
        image, name = _fields(entry, {"id": int, "file_name": str}, path, "images")
        if image in files:
            raise DataError(f"{path}: image {image} is there twice")
        if name not in there:
            raise DataError(f"{path}: image {image} has no file {folder / name}")
        files[image] = name
    if not files:
        raise DataError(f'{path}: "images" is empty')
    return files


def _load(path: Path) -> dict[str, list[Any]]:
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: malformed JSON ({error})") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object at the top, came {type(content).__name__}")
    for key in ("images", "annotations"):
        if not isinstance(content.get(key), list):
            raise DataError(f"{path}: expected a list {key!r} at the top; keys there are: {', '.join(content)}")
    return content


def _fields(entry: Any, kinds: dict[str, type], path: Path, where: str) -> list[Any]:
    """The values of these keys. DataError: one is missing or of another type."""
    if not isinstance(entry, dict):
        raise DataError(f"{path}: every entry of {where!r} must be an object, came {entry!r:.80}")
    for key, kind in kinds.items():
        value = entry.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            name = f"{where} entry {entry.get('id', '?')}"
            raise DataError(f"{path}: {name}: {key!r} must be {kind.__name__}, came {value!r:.80}")
    return [entry[key] for key in kinds]
