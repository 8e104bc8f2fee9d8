"""Read archives in place: a zip's members at random, fast and from any number of processes, and a tar in one pass.

`zipfile` takes seconds to list a hundred thousand members and its handle must not cross a fork. Here the central
directory is read in one sweep, and a member by one positioned read, which shares no file offset with anyone.

Source of the format: PKWARE's APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 to
4.3.16 (its end, and that of zip64) and 4.5.3 (zip64's sizes).
"""

import gzip
import os
import struct
import tarfile
import weakref
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from core.data.records import DataError

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_FULL = 0xFFFFFFFF  # "the number is in zip64's field"
_MEMBER_LIMIT = 1 << 30  # bytes: more than any file of these sets, less than what fills a machine
_STORED, _DEFLATED = 0, 8


class Member(NamedTuple):
    """A zip's member: where its local header starts, its bytes as stored and as unpacked, and their CRC-32."""

    name: str
    offset: int
    stored: int
    size: int
    method: int
    crc: int


class ZipArchive:
    """A zip archive, read in place. Small: it travels to other processes, which open the file for themselves."""

    def __init__(self, path: Path) -> None:
        """path: the archive. It is opened when it is first read."""
        self.path = path
        self._handle: int | None = None
        self._members: dict[str, Member] | None = None

    def __getstate__(self) -> dict[str, Path]:
        """What travels: neither the handle nor the directory, which may be large."""
        return {"path": self.path}

    def __setstate__(self, state: dict[str, Path]) -> None:
        """Be as new in another process."""
        self.__init__(state["path"])  # type: ignore[misc]

    @property
    def members(self) -> dict[str, Member]:
        """All members that are files, by name, in the archive's order.

        Raises:
            DataError: not a zip, cut off or broken; a name would leave its folder, or is there twice.
        """
        if self._members is None:
            self._members = self._directory()
        return self._members

    def read(self, member: Member) -> bytes:
        """A member's bytes, its checksum verified.

        Raises:
            DataError: it is cut off or broken, or stored by another method than "stored" and "deflated".
        """
        where = f"{self.path}: member {member.name}"
        # One read for header and bytes; an extra field longer than this is rare and costs a second one.
        head = _LOCAL.size + len(member.name.encode()) + 64
        data = self._at(member.offset, head + member.stored)
        if len(data) < _LOCAL.size or data[:4] != b"PK\3\4":
            raise DataError(
                f"{where}: expected a local header at byte {member.offset}; the archive is cut off or broken"
            )
        names, extra = _LOCAL.unpack_from(data)[-2:]
        start = _LOCAL.size + names + extra
        packed = data[start : start + member.stored]
        if start + member.stored > head + member.stored:
            packed = self._at(member.offset + start, member.stored)
        content = _unpack(packed, member, where)
        if zlib.crc32(content) != member.crc:
            raise DataError(f"{where}: its checksum (CRC-32) is wrong: the archive is damaged, get it again")
        return content

    def _at(self, offset: int, count: int) -> bytes:
        if self._handle is None:
            try:
                self._handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                raise DataError(f"{self.path}: cannot be opened ({error.strerror})") from error
            weakref.finalize(self, os.close, self._handle)
        try:
            return os.pread(self._handle, count, offset)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror})") from error

    def _directory(self) -> dict[str, Member]:
        count, size, offset, shift = self._end()
        data = self._at(offset + shift, size)
        if len(data) != size:
            raise DataError(f"{self.path}: cut off in its directory: {size} bytes expected, {len(data)} there")
        members: dict[str, Member] = {}
        at = 0
        entries = 0
        while at + _CENTRAL.size <= size:
            sign, _, _, flags, method, _, _, crc, stored, unpacked, names, extra, note, _, _, _, where = (
                _CENTRAL.unpack_from(data, at)
            )
            if sign != b"PK\1\2":
                raise DataError(f"{self.path}: not a directory entry at its byte {at}: the archive is broken")
            at += _CENTRAL.size
            name = data[at : at + names].decode("utf-8" if flags & 0x800 else "cp437", "replace")
            if _FULL in (stored, unpacked, where):
                unpacked, stored, where = _large(data[at + names : at + names + extra], unpacked, stored, where)
            at += names + extra + note
            entries += 1
            if name.endswith("/"):
                continue
            check_name(name, self.path)
            if flags & 1:
                raise DataError(f"{self.path}: member {name} is encrypted")
            if name in members:
                raise DataError(f"{self.path}: member {name} is there twice")
            if where + stored > offset:
                raise DataError(f"{self.path}: member {name} would reach into the directory: the archive is broken")
            members[name] = Member(name, where + shift, stored, unpacked, method, crc)
        if entries & 0xFFFF != count & 0xFFFF:  # old writers count modulo 65,536
            raise DataError(f"{self.path}: its directory should have {count} entries and has {entries}")
        return members

    def _end(self) -> tuple[int, int, int, int]:
        """Entries, bytes and offset of the central directory, and how far everything is from where it says it is."""
        try:
            length = self.path.stat().st_size
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror})") from error
        start = max(0, length - _END.size - 0xFFFF)
        tail = self._at(start, length - start)
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) - at < _END.size:
            raise DataError(f"{self.path}: not a zip archive, or cut off: its end of {length} bytes has no directory")
        _, _, _, _, count, size, offset, _ = _END.unpack_from(tail, at)
        end = start + at
        locator = self._at(end - _LOCATOR.size, _LOCATOR.size) if end >= _LOCATOR.size else b""
        if locator[:4] == b"PK\6\7":
            record = self._at(min(_LOCATOR.unpack(locator)[2], end), _END64.size)
            if len(record) != _END64.size or record[:4] != b"PK\6\6":
                raise DataError(f"{self.path}: the end of its directory (zip64) is not where it should be")
            count, size, offset = _END64.unpack(record)[-3:]
            end -= _LOCATOR.size + _END64.size
        shift = end - size - offset
        if shift < 0 or size > length:
            raise DataError(f"{self.path}: a directory of {size} bytes at {offset} cannot be: the archive is broken")
        return count, size, offset, shift


@lru_cache(maxsize=8)
def _zip(path: Path, _stamp: tuple[int, int]) -> ZipArchive:
    return ZipArchive(path)


def open_zip(path: Path) -> ZipArchive:
    """The archive, the same object as before unless the file has changed, so that its directory is read once.

    DataError: it does not exist.
    """
    return _zip(path, stamp(path))


def stamp(path: Path) -> tuple[int, int]:
    """Size and time of change: what tells a file from another of its name. DataError: it does not exist."""
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return stat.st_size, stat.st_mtime_ns


def check_name(name: str, archive: Path) -> None:
    """Refuse a member that would be written outside of the folder it is unpacked to. DataError names it."""
    if name[:1] not in ("", "/") and not (".." in name or ":" in name or "\\" in name or "\0" in name):
        return  # nearly all names, in a fraction of the time
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in name[:2] or "\0" in name:
        raise DataError(f"{archive}: refused, its member {name!r} would leave the folder it is unpacked to")


TAR_DAMAGE = (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error)
"""What reading from `open_tar` raises where the archive is damaged; `damaged_tar` says so to a user."""


@contextmanager
def open_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """A .tar or .tar.gz, whose members are to be read in turn; where that went well, the rest of the file is read too.

    gzip keeps its checksum (CRC-32) at its end, so that only who reads on to there learns that a bit has flipped.
    tarfile's own stream of a .tar.gz passes the checksum over.

    Raises:
        DataError: compressed otherwise (.tar.bz2, .tar.xz). OSError: it cannot be read. `TAR_DAMAGE`: it is damaged.
    """
    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith((b"BZh", b"\xfd7zXZ\0")):
        raise DataError(f"{path}: compressed by bzip2 or xz; expected .tar or .tar.gz: compress it anew, with gzip")
    with gzip.open(path) if start.startswith(b"\x1f\x8b") else path.open("rb") as content:
        with tarfile.open(fileobj=content, mode="r|") as archive:
            yield archive
        while content.read(1 << 20):
            pass


def damaged_tar(path: Path, error: Exception) -> DataError:
    """What a user is told of an archive whose reading raised one of `TAR_DAMAGE`."""
    return DataError(
        f"{path}: not a .tar.gz archive, or cut off or damaged ({error}). Remove it and get it again "
        "(docs/data.md: download)"
    )


def read_tar(path: Path, wanted: Collection[str]) -> dict[str, bytes]:
    """The members of a .tar or .tar.gz that are wanted, in one pass to its end. Nothing is written.

    Raises:
        DataError: the archive is cut off or damaged, lacks a member, or has one that would leave its folder.
    """
    found: dict[str, bytes] = {}
    try:
        with open_tar(path) as archive:
            for entry in archive:
                check_name(entry.name, path)
                if entry.name not in wanted:
                    continue
                if not entry.isfile() or entry.size > _MEMBER_LIMIT:
                    raise DataError(f"{path}: member {entry.name} is no file, or too large ({entry.size} bytes)")
                file = archive.extractfile(entry)
                assert file is not None
                found[entry.name] = file.read()
    except TAR_DAMAGE as error:
        raise damaged_tar(path, error) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if missing := sorted(set(wanted) - found.keys()):
        raise DataError(f"{path}: has no member {', '.join(missing)}; it is cut off, or another archive")
    return found


def _unpack(packed: bytes, member: Member, where: str) -> bytes:
    if len(packed) != member.stored or member.size > _MEMBER_LIMIT:
        raise DataError(f"{where}: {member.stored} bytes expected ({member.size} unpacked), {len(packed)} there")
    if member.method == _STORED:
        return packed
    if member.method != _DEFLATED:
        raise DataError(f"{where}: packed by method {member.method}; readable are stored (0) and deflated (8)")
    try:
        content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, member.size + 1)
    except zlib.error as error:
        raise DataError(f"{where}: broken ({error})") from error
    if len(content) != member.size:
        raise DataError(f"{where}: unpacks to another size than the {member.size} bytes that the directory says")
    return content


def _large(extra: bytes, *fields: int) -> tuple[int, ...]:
    """Sizes and offset with those that did not fit taken from zip64's extra field, in the order that it keeps."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + length]
            values = iter(struct.unpack_from(f"<{len(field) // 8}Q", field))
            return tuple(next(values, number) if number == _FULL else number for number in fields)
        at += 4 + length
    return fields
