"""Arrays in numpy's .npy format out of bytes, three times as fast as `numpy.load` for maps, and never a pickle.

Source of the format: numpy.lib.format's documentation (NEP 1). The header of maps of one size is the same bytes each
time, so it is parsed once.
"""

import io
import math
import os
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy_format

from core.errors import UserError

_MAGIC = b"\x93NUMPY"
MOST_HEADER = 4096
"""Bytes that hold the header of every array of numbers that numpy writes."""


class Layout(NamedTuple):
    """What a header says."""

    start: int
    """Bytes before the first value."""
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


class Handle:
    """A file read at any place; may be sent to another process, or used in a forked one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: io.FileIO | None = None
        self._process = self._size = 0

    def read(self, offset: int, size: int) -> np.ndarray:
        """[size] uint8, writable and aligned. UserError names the file: it cannot be read, or ends before."""
        # A forked process shares the place in the file with its parent: it opens its own.
        try:
            if self._file is None or self._process != os.getpid():
                self.close()
                self._file, self._process = io.FileIO(self.path), os.getpid()
                self._size = os.fstat(self._file.fileno()).st_size
            if offset + size > self._size:  # a damaged header may ask for more than there is memory
                raise UserError(f"{self.path}: truncated, expected at least {offset + size} bytes, came {self._size}")
            self._file.seek(offset)
            return _fill(self._file, size, str(self.path))
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read ({error.strerror})") from error

    def close(self) -> None:
        """Close the file; the next `read` opens it anew."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __del__(self) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_file": None, "_process": 0, "_size": 0}


def read_file(path: str) -> np.ndarray:
    """The array of a .npy file. UserError names the file: absent, truncated, not .npy, an array of objects."""
    try:
        with io.FileIO(path) as file:
            data = _fill(file, os.fstat(file.fileno()).st_size, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    return parse(data, path)


def parse(data: np.ndarray, where: str) -> np.ndarray:
    """The array that [B] uint8 hold, sharing their memory: in C order, of native byte order.

    UserError starts with `where`: see `layout`, or there are more or fewer values than the header says.
    """
    found = layout(data, where)
    if len(data) - found.start != found.nbytes:
        raise UserError(
            f"{where}: truncated or damaged, expected {found.nbytes} bytes of values ({found.dtype}, shape "
            f"{found.shape}), came {len(data) - found.start}"
        )
    array: np.ndarray = data[found.start :].view(found.dtype)
    array = array.reshape(found.shape[::-1]).T if found.fortran else array.reshape(found.shape)
    return native(array)


def native(array: np.ndarray) -> np.ndarray:
    """The same values in C order, aligned and of this machine's byte order; the array itself where it is so."""
    return np.require(array, array.dtype.newbyteorder("="), ["C", "A"])


def checksum(values: np.ndarray) -> int:
    """CRC-32 of an array's bytes, begun with what a header would say of them."""
    return zlib.crc32(np.ascontiguousarray(values).data, zlib.crc32(f"{values.dtype.str} {values.shape}".encode()))


def layout(data: np.ndarray, where: str) -> Layout:
    """The header that [B] uint8 begin with. UserError: not .npy, or an array of objects, which would be a pickle."""
    start = data[:12].tobytes()
    if start[:6] != _MAGIC or len(start) < 12 or start[6] not in (1, 2):
        raise UserError(f"{where}: expected an array as numpy.save writes it, came bytes that start with {start[:8]!r}")
    wide = start[6] == 2
    size = 12 + int.from_bytes(start[8:12], "little") if wide else 10 + int.from_bytes(start[8:10], "little")
    try:
        found = _parse_header(data[:size].tobytes())
    except Exception as error:  # numpy's parser lets through what Python's tokenizer and evaluator raise
        raise UserError(f"{where}: damaged header of a .npy array ({str(error)[:100]})") from error
    if any(length < 0 for length in found.shape):
        raise UserError(f"{where}: damaged header of a .npy array (shape {found.shape})")
    if found.dtype.hasobject or found.dtype.names or not found.dtype.itemsize:
        raise UserError(
            f"{where}: holds Python objects or records ({found.dtype}), which are never unpickled here; expected an "
            f"array of numbers: numpy.save(path, numpy.asarray(score_map, dtype=numpy.float32))"
        )
    return found


@lru_cache(maxsize=1024)
def _parse_header(header: bytes) -> Layout:
    file = io.BytesIO(header)
    version = npy_format.read_magic(file)
    read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return Layout(len(header), dtype, shape, fortran)


def _fill(file: io.FileIO, size: int, where: str) -> np.ndarray:
    data = np.empty(size, np.uint8)
    done = 0
    while done < size:
        count = file.readinto(data[done:].data)
        if not count:
            raise UserError(f"{where}: truncated, expected {size - done} more bytes")
        done += count
    return data
