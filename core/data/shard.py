"""A shard: many images in one file, with an index at its end and checksums. docs/packing.md describes the bytes.

    magic | image, table | image, table | ... | index (JSON) | footer

An image is a file as a decoder takes it. Its table has the length of each restart segment, where it has any. The index
has a column per property. The footer says where the index is, and the checksum of all before it.
"""

import json
import os
import struct
import weakref
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data.records import Box, DataError
from core.jpeg.segments import Starts

MAGIC = b"transfer-shard-1"
_FOOTER = struct.Struct("<QQII16s")
"""Offset and size of the index, its CRC-32, the CRC-32 of all before the footer, the magic again."""
_COLUMNS = ("ids", "labels", "offsets", "sizes", "segments", "crc32", "source_sizes")
Index = dict[str, Any]
"""The columns above, a list each, and "boxes" and "image_sizes": by the image's number, where there are any."""


class Entry(NamedTuple):
    """What a shard keeps of one image."""

    id: str
    label: int
    image: bytes
    """The file."""
    lengths: bytes
    """The length of each restart segment, marker included, uint16 little-endian; empty: it has none to be cut at."""
    source_size: int
    """Bytes of the file that it was made from."""
    boxes: tuple[Box, ...] = ()
    size: tuple[int, int] | None = None
    """Width and height in whose pixels the boxes are given."""


class ShardWriter:
    """Writes a shard from its first byte to its last."""

    def __init__(self, file: BinaryIO) -> None:
        """file: empty, open for writing."""
        self._file, self._crc, self._at = file, 0, 0
        self._index: Index = {name: [] for name in _COLUMNS} | {"boxes": {}, "image_sizes": {}}
        self._write(MAGIC)

    def add(self, entry: Entry) -> None:
        """Append an image. OSError: the disk is full."""
        crc = zlib.crc32(entry.lengths, zlib.crc32(entry.image))
        number = str(len(self._index["ids"]))
        row = (entry.id, entry.label, self._at, len(entry.image), len(entry.lengths) // 2, crc, entry.source_size)
        for name, value in zip(_COLUMNS, row, strict=True):
            self._index[name].append(value)
        if entry.boxes:
            self._index["boxes"][number] = entry.boxes
        if entry.size is not None:
            self._index["image_sizes"][number] = entry.size
        self._write(entry.image)
        self._write(entry.lengths)

    def finish(self) -> None:
        """Write index and footer. OSError: the disk is full."""
        index = json.dumps(self._index, separators=(",", ":")).encode()
        at = self._at
        self._write(index)
        self._file.write(_FOOTER.pack(at, len(index), zlib.crc32(index), self._crc, MAGIC))

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._crc = zlib.crc32(data, self._crc)
        self._at += len(data)


class Shard:
    """A shard that is read. It travels to other processes, which open the file for themselves."""

    def __init__(self, path: Path) -> None:
        """path: the file. It is opened when it is first read; `index` must be called before `read`."""
        self.path = path
        self._handle: int | None = None
        self._places: NDArray[np.int64] = np.zeros((0, 4), np.int64)  # [images, (offset, size, segments, CRC-32)]

    def __getstate__(self) -> tuple[Path, NDArray[np.int64]]:
        """What travels: not the handle."""
        return self.path, self._places

    def __setstate__(self, state: tuple[Path, NDArray[np.int64]]) -> None:
        """Be as new in another process."""
        self.path, self._places = state
        self._handle = None

    def index(self) -> Index:
        """Read the index.

        Raises:
            DataError: the file is absent, no shard, cut short or damaged.
        """
        footer = self.footer()
        content = self._index(footer)
        try:
            places = np.array([content[name] for name in ("offsets", "sizes", "segments", "crc32")], np.int64)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{self.path}: its index is not as docs/packing.md says ({error!r}). {REMEDY}") from error
        offsets, sizes, segments, _ = places
        if (places < 0).any() or (offsets + sizes + 2 * segments > footer[0]).any():
            raise DataError(f"{self.path}: its index names images outside of the shard. {REMEDY}")
        self._places = places.T
        return content

    def footer(self) -> tuple[int, int, int, int]:
        """Offset, size and CRC-32 of the index, and the CRC-32 of all before the footer. DataError as in `index`."""
        size = os.fstat(self._open()).st_size
        tail = self._at(max(0, size - _FOOTER.size), _FOOTER.size)
        if size < _FOOTER.size + len(MAGIC) or tail[-len(MAGIC) :] != MAGIC or self._at(0, len(MAGIC)) != MAGIC:
            raise DataError(f"{self.path}: no shard, or cut short ({size:,} bytes). {REMEDY}")
        at, count, crc, total, _ = _FOOTER.unpack(tail)
        if at + count + _FOOTER.size != size:
            raise DataError(f"{self.path}: {at + count + _FOOTER.size:,} bytes expected, {size:,} are there. {REMEDY}")
        return at, count, crc, total

    def _index(self, footer: tuple[int, int, int, int]) -> Index:
        data = self._at(footer[0], footer[1])
        if zlib.crc32(data) != footer[2]:
            raise DataError(f"{self.path}: the checksum of its index is wrong: it is damaged. {REMEDY}")
        content = json.loads(data)
        assert isinstance(content, dict)
        return content

    def read(self, number: int, name: str) -> tuple[bytes, NDArray[np.uint16]]:
        """An image's file and the lengths of its segments, the checksum verified.

        Args:
            number: its place in the shard. name: its id, for messages.

        Raises:
            DataError: the shard is cut short or damaged there.
        """
        offset, size, segments, crc = self._places[number].tolist()
        image, table = self._at(offset, size), self._at(offset + size, 2 * segments)
        if len(image) + len(table) != size + 2 * segments:
            there = f"{size + 2 * segments:,} bytes expected at byte {offset:,}, {len(image) + len(table):,} are there"
            raise DataError(f"{self.path}: image {name}: the shard is cut short: {there}. {REMEDY}")
        if zlib.crc32(table, zlib.crc32(image)) != crc:
            raise DataError(f"{self.path}: image {name}: its checksum is wrong: the shard is damaged. {REMEDY}")
        return image, np.frombuffer(table, "<u2")

    def checksum(self) -> int:
        """CRC-32 of all before the footer, read anew. DataError: the file cannot be read."""
        crc, at, left = 0, 0, os.fstat(self._open()).st_size - _FOOTER.size
        while left > 0 and (data := self._at(at, min(left, 1 << 22))):
            crc, at, left = zlib.crc32(data, crc), at + len(data), left - len(data)
        return crc

    def _open(self) -> int:
        if self._handle is None:
            try:
                self._handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise DataError(f"{self.path}: the shard cannot be opened ({error.strerror})") from error
            weakref.finalize(self, os.close, self._handle)
        return self._handle

    def _at(self, offset: int, count: int) -> bytes:
        try:
            return os.pread(self._open(), count, offset)
        except OSError as error:
            raise DataError(f"{self.path}: the shard cannot be read ({error.strerror})") from error


REMEDY = "Remove this file and run the command again that made it (python -m core.data.prepare): only it is made anew"
"""What a user can do about a damaged shard."""


def starts(lengths: NDArray[np.uint16]) -> Starts:
    """Where segments of these lengths begin, as `core.jpeg.segments` takes them."""
    bounds = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=bounds[1:])
    return bounds


def lengths(bounds: Sequence[int] | Starts) -> bytes:
    """The table of these starts; empty where a segment is longer than 65,535 bytes."""
    found = np.diff(np.asarray(bounds))
    return found.astype("<u2").tobytes() if len(found) and found.max() < 1 << 16 else b""
