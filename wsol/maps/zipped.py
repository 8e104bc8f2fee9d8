"""Members of a zip archive (.zip, .npz) read in place: nothing is unpacked to disk, and half of `zipfile.open`'s time.

Source of the format: PKWARE's APPNOTE.TXT, 4.3.7 (local header) and 4.4. Each member read whole is held against its
checksum.
"""

import struct
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.errors import UserError
from eval.localization.truth import ScoreMap
from wsol.maps.folders import digest
from wsol.maps.npy import Handle, parse
from wsol.maps.source import Source

_MOST_PACKED = 1032  # bytes that one byte of deflate's can stand for
_UTF8 = 0x800
_LOCAL = struct.Struct("<4s22xHH")  # signature, ..., lengths of the name and of the extra field


class Member(NamedTuple):
    """Where a member's bytes are."""

    name: str
    offset: int
    """Of its local header."""
    stored: int
    """Bytes in the archive."""
    size: int
    """Bytes when unpacked."""
    method: int
    crc: int
    raw: bytes
    """The name as the archive spells it."""


def members(path: Path) -> list[Member]:
    """The .npy members of an archive, in the order of their places in it. UserError: damaged, or encrypted."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise UserError(f"{path}: damaged, or not a zip archive ({error})") from error
    found = []
    for entry in entries:
        # macOS adds a hidden file for each file that it packs.
        hidden = entry.filename.startswith("__MACOSX/") or entry.filename.rpartition("/")[2].startswith(".")
        if hidden or not entry.filename.endswith(".npy"):
            continue
        if entry.flag_bits & 1:
            raise UserError(f"{path}: member {entry.filename!r} is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UserError(f"{path}: member {entry.filename!r}: expected it stored or deflated, pack it again")
        place = entry.header_offset, entry.compress_size, entry.file_size, entry.compress_type, entry.CRC
        raw = entry.orig_filename.encode("utf-8" if entry.flag_bits & _UTF8 else "cp437")
        found.append(Member(entry.filename, *place, raw))
    return sorted(found, key=lambda member: member.offset)


def start_of(handle: Handle, member: Member) -> int:
    """Offset of a member's first byte. UserError names it: there is no local header."""
    header = handle.read(member.offset, _LOCAL.size + len(member.raw)).tobytes()
    signature, name, extra = _LOCAL.unpack_from(header)
    # zipfile holds the two names against each other, too: a checksum does not cover them.
    if signature != b"PK\x03\x04" or header[_LOCAL.size :] != member.raw or name != len(member.raw):
        raise UserError(f"{handle.path}: member {member.name!r} is damaged (its own header differs from the list)")
    return member.offset + _LOCAL.size + int(name) + int(extra)


def unpack(handle: Handle, member: Member) -> np.ndarray:
    """A member's bytes, [size] uint8, writable. UserError names it: damaged (checksum), or truncated."""
    where = f"{handle.path}: member {member.name!r}"
    data = handle.read(start_of(handle, member), member.stored)
    if member.method == zipfile.ZIP_DEFLATED:
        if member.size > _MOST_PACKED * (member.stored + 1):  # a damaged or hostile list: do not ask for that memory
            raise UserError(f"{where} is damaged (it cannot unpack to {member.size} bytes)")
        try:
            plain = bytearray(zlib.decompress(data.data, -zlib.MAX_WBITS, max(member.size, 1)))
        except zlib.error as error:
            raise UserError(f"{where} is damaged ({error})") from error
        data = np.frombuffer(plain, np.uint8)
    if zlib.crc32(data.data) != member.crc:
        raise UserError(f"{where} is damaged (its checksum differs)")
    return data


class Members(Source):
    """One .npy member for each map: a .zip of .npy files, or what `numpy.savez(path, **maps)` writes."""

    def __init__(self, path: Path) -> None:
        """UserError: as in `members`, or there is none."""
        self._members = members(path)
        self._handle = Handle(path)
        super().__init__(path, [member.name.removesuffix(".npy") for member in self._members])

    def fingerprint(self) -> str:
        """Over the archive's name, size and time."""
        return digest([self.path])

    def _map(self, place: int) -> ScoreMap:
        member = self._members[place]
        return ScoreMap(self.ids[place], parse(unpack(self._handle, member), f"{self.path}: member {member.name!r}"))
