"""Maps that lie one after the other in one array [N, H, W], read in place."""

import zlib
from pathlib import Path

import numpy as np

from core.errors import UserError
from eval.localization.truth import ScoreMap
from wsol.maps.folders import digest
from wsol.maps.npy import MOST_HEADER, Handle, layout, native
from wsol.maps.source import Source
from wsol.maps.zipped import Member, start_of, unpack

_CHUNK = 1 << 22  # bytes
_MOST_UNPACKED = 1 << 26  # bytes of a compressed array that are kept


class Stack:
    """An array [N, H, W] inside a file."""

    def __init__(self, handle: Handle, offset: int, size: int, where: str) -> None:
        """The array whose .npy form is `size` bytes from `offset` on.

        UserError starts with `where`: not an array [N, H, W] of numbers, or truncated.
        """
        found = layout(handle.read(offset, min(size, MOST_HEADER)), where)
        _check(found.shape, found.fortran, where)
        if size - found.start != found.nbytes:
            raise UserError(
                f"{where}: truncated, expected {found.nbytes} bytes ({found.dtype}, {found.shape}), "
                f"came {size - found.start}"
            )
        self._handle, self._start, self._dtype = handle, offset + found.start, found.dtype
        self.shape: tuple[int, ...] = found.shape

    def __getitem__(self, place: int) -> np.ndarray:
        """[H, W]."""
        _, height, width = self.shape
        size = height * width * self._dtype.itemsize
        data = self._handle.read(self._start + place * size, size)
        return native(data.view(self._dtype).reshape(height, width))


def stack_of(handle: Handle, member: Member) -> "Stack | np.ndarray":
    """A member's array [N, H, W]: in place where it is stored, unpacked where it is compressed.

    UserError: damaged (the checksum of all of it is taken), not such an array, or compressed and over 64 MiB: then
    every map would unpack all that come before it.
    """
    where = f"{handle.path}: member {member.name!r}"
    if member.stored == member.size:
        start = start_of(handle, member)
        crc = 0
        for offset in range(0, member.size, _CHUNK):
            crc = zlib.crc32(handle.read(start + offset, min(_CHUNK, member.size - offset)), crc)
        if crc != member.crc:
            raise UserError(f"{where} is damaged (its checksum differs)")
        return Stack(handle, start, member.size, where)
    raise NotImplementedError(unpack)


def _check(shape: tuple[int, ...], fortran: bool, where: str) -> None:
    if len(shape) != 3 or fortran:
        raise UserError(f"{where}: expected an array [N, H, W] in C order, came shape {shape}, Fortran {fortran}")


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
