"""Maps that lie one after the other in one array [N, H, W], read in place."""

import os
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from core.errors import UserError
from eval.localization.truth import ScoreMap
from wsol.maps.folders import digest
from wsol.maps.npy import MOST_HEADER, Handle, Layout, layout, native
from wsol.maps.source import Source
from wsol.maps.zipped import Member, start_of

_CHUNK = 1 << 22  # bytes


class Stack:
    """An array [N, H, W] inside a file."""

    def __init__(self, handle: Handle, offset: int, size: int, where: str) -> None:
        """The array whose .npy form is `size` bytes from `offset` on.

        UserError starts with `where`: not an array [N, H, W] of numbers, or truncated.
        """
        found = layout(handle.read(offset, min(size, MOST_HEADER)), where)
        _check(found, size, where)
        self._handle, self._start, self._dtype = handle, offset + found.start, found.dtype
        self.shape: tuple[int, ...] = found.shape

    def __getitem__(self, place: int) -> np.ndarray:
        """[H, W]."""
        _, height, width = self.shape
        size = height * width * self._dtype.itemsize
        data = self._handle.read(self._start + place * size, size)
        return native(data.view(self._dtype).reshape(height, width))


class Packed:
    """An array [N, H, W] in a compressed member: unpacked from its start on, as far as the map that is asked for.

    One pass in the array's order; to go back is to begin again.
    """

    def __init__(self, handle: Handle, member: Member, where: str) -> None:
        """UserError as for `Stack`, or the member is damaged: all of it is unpacked once to know."""
        self._path, self._name, self._where = handle.path, member.name, where
        self._stream: IO[bytes] | None = None
        self._next = self._process = 0
        self._header = Layout(0, np.dtype(np.uint8), (0, 1, 1), False)
        self._header = layout(np.frombuffer(self._from_start(MOST_HEADER), np.uint8), where)
        _check(self._header, member.size, where)
        self.shape = self._header.shape
        self._from_start(0)
        while self._read(_CHUNK):
            pass
        self._stream = None

    def __getitem__(self, place: int) -> np.ndarray:
        """[H, W]. UserError: damaged."""
        _, height, width = self.shape
        size = height * width * self._header.dtype.itemsize
        if self._stream is None or self._process != os.getpid() or place < self._next:
            self._from_start(self._header.start)
            self._next = 0
        for _ in range(self._next, place + 1):
            data = self._read(size)
        self._next = place + 1
        return native(np.frombuffer(bytearray(data), self._header.dtype).reshape(height, width))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_stream": None}

    def _from_start(self, size: int) -> bytes:
        """Open the member anew and read its first bytes."""
        self._process = os.getpid()
        try:
            self._stream = zipfile.ZipFile(self._path).open(self._name)  # noqa: SIM115  (kept open from map to map)
        except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, ValueError, KeyError) as error:
            raise UserError(f"{self._where} is damaged ({error})") from error
        return self._read(size)

    def _read(self, size: int) -> bytes:
        assert self._stream is not None
        try:
            return self._stream.read(size)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise UserError(f"{self._where} is damaged ({error})") from error


def stack_of(handle: Handle, member: Member, *, checked: bool = True) -> Stack | Packed:
    """A member's array [N, H, W], whose maps are read one at a time.

    checked: hold all of it against its checksum now; a compressed one always is.
    UserError: damaged, or not such an array.
    """
    where = f"{handle.path}: member {member.name!r}"
    if member.method != zipfile.ZIP_STORED:
        return Packed(handle, member, where)
    start = start_of(handle, member)
    crc = 0
    for offset in range(0, member.size if checked else 0, _CHUNK):
        crc = zlib.crc32(handle.read(start + offset, min(_CHUNK, member.size - offset)).data, crc)
    if checked and crc != member.crc:
        raise UserError(f"{where} is damaged (its checksum differs)")
    return Stack(handle, start, member.size, where)


def _check(found: Layout, size: int, where: str) -> None:
    if len(found.shape) != 3 or found.fortran:
        order = "Fortran" if found.fortran else "C"
        raise UserError(f"{where}: expected an array [N, H, W] in C order, came shape {found.shape} in {order} order")
    if size - found.start != found.nbytes:
        raise UserError(
            f"{where}: truncated, expected {found.nbytes} bytes of values ({found.dtype}, shape {found.shape}), "
            f"came {size - found.start}"
        )


class ArrayFile(Source):
    """One .npy array [N, H, W] and a list of ids."""

    def __init__(self, path: Path, ids_file: Path | None) -> None:
        """UserError: no list, or one of another length; not such an array."""
        if ids_file is None:
            raise UserError(f"{path}: one array of all maps needs its ids: --ids FILE, a text file with one a line")
        self._stack = Stack(Handle(path), 0, path.stat().st_size, str(path))
        self._ids_file = ids_file
        ids = read_ids(ids_file)
        if len(ids) != self._stack.shape[0]:
            raise UserError(
                f"{ids_file}: expected {self._stack.shape[0]} ids, a line for each map of {path}, came {len(ids)}"
            )
        super().__init__(path, ids)

    def fingerprint(self) -> str:
        """Over both files."""
        return digest([self.path, self._ids_file])

    def _map(self, place: int) -> ScoreMap:
        return ScoreMap(self.ids[place], self._stack[place])


def read_ids(path: Path) -> list[str]:
    """The lines of a text file that are not blank. UserError: it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: the id list cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: expected a text file with one id a line ({error})") from error
    return [line.strip() for line in text.splitlines() if line.strip()]
