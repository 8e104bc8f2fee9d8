"""The restart segments of a JPEG, and the small JPEG that some of them make.

Source: ITU-T T.81, annexes B.2 and F. After every `restart_interval` MCUs stands a marker, numbered 0 to 7 in turn, and
the code begins afresh. So the segments that a box touches, with the header of an image of that size and the markers
numbered anew, are a JPEG of their own whose coefficients are those of the whole one. A segment must not span two rows
of MCUs: the interval must divide the MCUs of a row.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.jpeg.header import Header

Starts: TypeAlias = NDArray[np.int64]
"""[segments + 1]: where each begins, in bytes from the start of the scan; the last entry: the end of the file's EOI."""

_RST0, _EOI = 0xD0, 0xD9
_NUMBERS = np.tile(np.arange(_RST0, _RST0 + 8, dtype=np.uint8), 512)  # enough for most boxes
_NARROW = 4
"""Images up to so many columns wide get their chroma by repetition in libjpeg, not by interpolation."""


def per_row(header: Header) -> int:
    """Segments of a row of MCUs; 0: there are none that could be taken alone."""
    interval, columns = header.restart_interval, header.mcu_columns
    return columns // interval if interval and columns % interval == 0 else 0


def count(header: Header) -> int:
    """Segments of the image; 0: there are none that could be taken alone."""
    return per_row(header) * header.mcu_rows


def find(data: bytes, header: Header) -> Starts | None:
    """Look for the restart markers. None: there are none, or not where they must be."""
    expected = count(header)
    if not expected:
        return None
    scan = np.frombuffer(data, np.uint8)[header.scan_at : data.rfind(b"\xff\xd9") + 2]
    markers = scan[:-1] == 0xFF
    markers &= (scan[1:] & 0xF8) == _RST0
    at = np.flatnonzero(markers)
    if len(at) != expected - 1 or not np.array_equal(scan[at + 1] & 7, np.arange(expected - 1) & 7):
        return None
    return np.concatenate(([0], at + 2, [len(scan)]))


def part(
    data: bytes, header: Header, starts: Starts, top: int, left: int, height: int, width: int
) -> tuple[bytearray, int, int]:
    """A JPEG file that holds a box and its neighbours, and where the box begins in it: (file, row, column).

    Interpolated chroma takes its neighbours from the next MCU: where a border of the box is one of an MCU, a neighbour
    comes along. At the image's border the part ends where the image does, as the decoder repeats the last pixels.
    """
    columns = per_row(header)
    tall, wide = header.mcu_height, header.mcu_width * header.restart_interval
    above, beside = int(header.mcu_height > 8), int(header.mcu_width > 8)
    first_row, last_row = max(0, top - above) // tall, -(-min(header.height, top + height + above) // tall)
    first, last = max(0, left - beside) // wide, -(-min(header.width, left + width + beside) // wide)
    while first and min(header.width, last * wide) - first * wide <= _NARROW:
        first -= 1
    y, x = first_row * tall, first * wide
    size = min(header.height, last_row * tall) - y, min(header.width, last * wide) - x
    # [rows + 1, segments of a row]: a row's segments stand together, so that one slice takes those of the box.
    bounds = starts[first_row * columns : last_row * columns + 1] + header.scan_at
    lines = zip(bounds[first:-1:columns].tolist(), bounds[last::columns].tolist(), strict=True)
    at = header.size_at
    start = (data[:at], size[0].to_bytes(2, "big"), size[1].to_bytes(2, "big"), data[at + 4 : header.scan_at])
    file = bytearray().join((*start, *[data[begin:end] for begin, end in lines]))
    lengths = (bounds[1:] - bounds[:-1]).reshape(-1, columns)[:, first:last]
    _number(file, lengths.cumsum() + (header.scan_at - 1))
    return file, top - y, left - x


def _number(file: bytearray, ends: NDArray[np.int64]) -> None:
    """Number the markers, whose second bytes stand at `ends`; the last becomes the end of the image."""
    content = np.frombuffer(file, np.uint8)
    content[ends] = _NUMBERS[: len(ends)] if len(ends) <= len(_NUMBERS) else _RST0 + (np.arange(len(ends)) & 7)
    content[ends[-1]] = _EOI
