"""The files of a set of features: `features.npy` and, of every chunk of its images, a checksum in `checksums.npy`.

A chunk counts as there if its checksum agrees, so that any moment may be the last: what was half written is not there.
N: images, C: channels, P: places of a map.
"""

import math
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core import atomic

CHUNK = 64
"""Images computed at once: fixed, so that a set has the same bits whoever computes which part of it."""
VALUES, CHECKSUMS = "features.npy", "checksums.npy"
ABSENT = -1
"""What stands for the checksum of a chunk that is not there; CRC-32 is never negative."""
_CHECKED = 2 << 30  # bytes whose checksums are compared when a finished set is opened; of more, evenly spaced chunks

Features = NDArray[np.float16]
"""[N, C], or [N, P, C]."""


@dataclass(frozen=True)
class Stored:
    """A set's files."""

    folder: Path
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all features."""
        return 2 * math.prod(self.shape)

    @property
    def chunks(self) -> int:
        """How many chunks there are; the last may be short."""
        return -(-self.shape[0] // CHUNK)

    def open(self) -> Features:
        """The features, mapped, not to be written to. ValueError, OSError: the file is not whole."""
        # "r": a map that may be written to counts as memory, and the system refuses one that exceeds it.
        # A plain view of it: to take rows of a np.memmap is a third of the time of a training sample.
        array: Features = np.asarray(np.load(self.folder / VALUES, mmap_mode="r", allow_pickle=False))
        if array.shape != self.shape or array.dtype != np.float16:
            raise ValueError(f"expected float16 {self.shape}, it has {array.dtype} {array.shape}")
        return array

    def begin(self, missing: Sequence[int]) -> None:
        """Files of the right size, in which these chunks are not there. OSError: the disk is full."""
        try:
            self.open()
        except (OSError, ValueError):
            np.lib.format.open_memmap(self.folder / VALUES, "w+", np.float16, self.shape)
        try:
            sums = self.checksums()
        except (OSError, ValueError):
            sums = np.full(self.chunks, ABSENT, np.int64)
        sums[list(missing)] = ABSENT
        with atomic.replacing(self.folder / CHECKSUMS) as temporary, temporary.open("wb") as file:
            np.save(file, sums)

    def rows(self, chunk: int) -> slice:
        """The images of a chunk."""
        return slice(chunk * CHUNK, min((chunk + 1) * CHUNK, self.shape[0]))

    def missing(self, *, some: bool) -> list[int]:
        """Chunks whose checksum does not agree; `some`: only `_CHECKED` bytes are read. All where a file is broken."""
        try:
            array, sums = self.open(), self.checksums()
        except (OSError, ValueError):
            return list(range(self.chunks))
        step = max(1, self.nbytes // _CHECKED) if some else 1
        looked = (i for i in range(self.chunks) if sums[i] == ABSENT or i % step == 0)
        return [i for i in looked if _crc(array[self.rows(i)]) != sums[i]]

    def sync(self) -> None:
        """Return when all is on the disk."""
        for name in (VALUES, CHECKSUMS):
            handle = os.open(self.folder / name, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def write(self, chunk: int, values: Features) -> None:
        """A chunk's features, then its checksum. By plain writes: on a full disk a mapped page kills the process."""
        for name, data, place, count in (
            (VALUES, values, self.rows(chunk).start * (values.nbytes // len(values)), self.nbytes),
            (CHECKSUMS, np.array([_crc(values)], np.int64), 8 * chunk, 8 * self.chunks),
        ):
            with (self.folder / name).open("r+b") as file:
                file.seek(file.seek(0, os.SEEK_END) - count + place)  # behind the header
                file.write(data.tobytes())

    def checksums(self) -> NDArray[np.int64]:
        """Of every chunk, `ABSENT` where it is not there. ValueError, OSError: the file is not whole."""
        sums: NDArray[np.int64] = np.load(self.folder / CHECKSUMS, allow_pickle=False)
        if sums.shape != (self.chunks,) or sums.dtype != np.int64:
            raise ValueError(f"expected int64 [{self.chunks}]")
        return sums


def _crc(values: Features) -> int:
    return zlib.crc32(np.ascontiguousarray(values).data.cast("B"))
