"""A data set of images from shards that `python -m core.data.prepare` made: docs/packing.md says why and how.

The records are those of the set that was packed: ids, labels, boxes, order. Where the images were packed without loss,
so are pixels, name and fingerprint: a run is the same run, whichever it reads. The set's own files need not be there.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from core.config import differences, plain, unhashed
from core.data.images import Jpeg, picture
from core.data.pictures import Picture, Stored
from core.data.records import DataError, DataSet, ImageRecord
from core.data.shard import REMEDY, Shard, starts
from core.errors import UserError
from core.jpeg import segments
from core.jpeg.header import Header, parse

MANIFEST = "manifest.json"
FORMAT = {"format": "transfer packed images", "version": 1}


@dataclass(frozen=True)
class Preparation:
    """Images made smaller before they are packed. It changes pixels, and is part of a run's identity."""

    short_side: int = 384
    """The shorter side of larger images, in pixels, after an antialiased bicubic resize; smaller ones keep theirs."""
    quality: int = 90
    """JPEG quality (libjpeg's scale, 4:2:0) that all images are encoded with."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.short_side < 8 or not 1 <= self.quality <= 100:
            raise UserError(f"preparation: expected short_side >= 8 and 1 <= quality <= 100, got {self}")


@dataclass(frozen=True, slots=True)
class PackedImage(Stored):
    """An image in a shard."""

    shard: Shard
    number: int
    """Its place in the shard."""
    id: str
    nbytes: int
    """Bytes of the file that it was made from where that was packed without loss, else its own as stored."""

    @property
    def where(self) -> str:
        """The shard and the image."""
        return f"{self.shard.path}: image {self.id}"

    def open(self) -> Picture:
        """The image; its checksum is verified. DataError: damaged, or its table does not fit it."""
        data, lengths = self.shard.read(self.number, self.id)
        if not len(lengths):
            return picture(data, self.where)
        known = starts(lengths)
        # Where the segments are known, so is the scan's start: images of one size and encoder share what stands before.
        header = _parse_start(data[: max(0, len(data) - int(known[-1]))])
        if header is None or len(known) != 1 + segments.count(header):
            raise DataError(f"{self.where}: its table of segments does not fit its header. {REMEDY}")
        return Jpeg(data, self.where, header, known)

    def read_bytes(self) -> bytes:
        """The image's file, as it is kept."""
        return self.shard.read(self.number, self.id)[0]


@lru_cache(maxsize=256)
def _parse_start(start: bytes) -> Header | None:
    return parse(start + b"\xff\xd9")


@dataclass(frozen=True)
class Packed(DataSet[ImageRecord]):
    """A data set from a folder of shards. Its name, splits and classes are those of the set that was packed."""

    name: ClassVar[str] = "packed images"
    layout: ClassVar[str] = """
manifest.json          as python -m core.data.prepare writes it
<split>-00000.shard, ...
"""
    official: ClassVar[dict[str, int]] = {}

    of: DataSet[ImageRecord]
    """The data set that was packed: another one in the folder is refused."""
    folder: Path = unhashed(Path("packed"))
    """The folder of manifest and shards."""
    preparation: Preparation | None = None
    """How the images were made smaller; None: not at all. Another preparation in the folder is refused."""

    def __post_init__(self) -> None:
        """Take the name and the splits of the set that was packed."""
        object.__setattr__(self, "name", self.of.name)
        object.__setattr__(self, "official", self.of.official)

    def missing(self, root: Path, split: str, *, boxes: bool = False) -> str | None:
        """None where the split is there, packed whole, else what is missing. The data root need not exist.

        DataError: the folder holds another data set, or another preparation of it.
        """
        self._check_split(split)
        command = "python -m core.data.prepare makes it (docs/packing.md)"
        if not (self.folder / MANIFEST).is_file():
            return f"{self.name}, split {split!r}: file {self.folder / MANIFEST} does not exist; {command}"
        splits = self._manifest()["splits"]
        if split not in splits:
            return f"{self.name}, split {split!r}: not packed in {self.folder}; there is {', '.join(splits)}; {command}"
        if boxes and not splits[split]["boxes"]:
            return f"{self.name}, split {split!r}: packed in {self.folder} without boxes; pack it again where they are"
        for path, _ in self._needs(root, split):
            if not path.is_file():
                return f"{self.name}, split {split!r}: file {path} does not exist; {command}"
        return None

    def published(self, split: str) -> int:
        """As the set that was packed."""
        return self.of.published(split)

    def classes(self, root: Path) -> tuple[str, ...]:
        """As they were when the set was packed. DataError: the folder holds another set, or none."""
        return tuple(self._manifest()["classes"])

    def fingerprint(
        self, root: Path, split: str, records: Sequence[ImageRecord] | None = None, *, boxes: bool = False
    ) -> str:
        """That of the set that was packed, as the manifest has it; of smaller images, or with boxes, made anew."""
        if self.preparation is not None or boxes or self.missing(root, split) is not None:
            return super().fingerprint(root, split, records, boxes=boxes)
        return str(self._manifest()["splits"][split]["fingerprint"])

    def _needs(self, root: Path, split: str) -> Iterable[tuple[Path, str]]:
        yield self.folder / MANIFEST, "file"
        if (self.folder / MANIFEST).is_file():
            for shard in self._manifest()["splits"].get(split, {}).get("shards", ()):
                yield self.folder / shard["file"], "file"

    def watched(self, root: Path, split: str) -> tuple[Path, ...]:
        """The manifest, which is written anew whenever shards are."""
        return (self.folder / MANIFEST,)

    def _manifest(self) -> dict[str, Any]:
        path = self.folder / MANIFEST
        manifest = read_manifest(path)
        wanted = {"data": plain(self.of, hashed_only=True), "preparation": plain(self.preparation)}
        if lines := differences({key: manifest[key] for key in wanted}, wanted):
            listed = "\n".join(f"  {line}" for line in lines)
            raise DataError(
                f"{path}: these shards are of another data set or preparation (there: the shards; here: the config):\n"
                f"{listed}\nChange the config, or pack into another folder"
            )
        return manifest

    def _read(self, root: Path, split: str) -> tuple[ImageRecord, ...]:
        records: list[ImageRecord] = []
        for shard in self._manifest()["splits"][split]["shards"]:
            records += _records(Shard(self.folder / shard["file"]), shard, self.preparation is None)
        return tuple(records)


def read_manifest(path: Path) -> dict[str, Any]:
    """A folder's manifest. DataError: it is absent, no manifest, or of another version."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); python -m core.data.prepare writes it") from error
    except ValueError as error:
        raise DataError(f"{path}: no manifest of packed images ({error}); pack the data set again") from error
    if not isinstance(content, dict) or {key: content.get(key) for key in FORMAT} != FORMAT:
        raise DataError(f"{path}: no manifest of packed images, or of another version; expected {FORMAT}")
    return content


def _records(shard: Shard, line: dict[str, Any], lossless: bool) -> Sequence[ImageRecord]:
    """The records of a shard. line: what the manifest says of it."""
    index = shard.index()
    ids, boxes, sizes = index["ids"], index["boxes"], index["image_sizes"]
    if len(ids) != line["images"] or shard.footer()[3] != line["crc32"]:
        raise DataError(
            f"{shard.path}: this is not the shard that {MANIFEST} tells of ({line['images']} images expected, "
            f"{len(ids)} are there): it belongs to another packing. {REMEDY}"
        )
    nbytes = index["source_sizes"] if lossless else index["sizes"]
    records = [
        ImageRecord(name, PackedImage(shard, i, name, size), label)
        for i, (name, label, size) in enumerate(zip(ids, index["labels"], nbytes, strict=True))
    ]
    for key in {*boxes, *sizes}:
        record = records[int(key)]
        found = tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in boxes.get(key, ()))
        size = tuple(sizes[key]) if key in sizes else None
        records[int(key)] = ImageRecord(record.id, record.path, record.label, found, size)
    return records
