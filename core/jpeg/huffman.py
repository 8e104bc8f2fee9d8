"""Huffman codes of a JPEG, as tables that compiled loops read.

Source: ITU-T T.81, annexes C and F. A code's symbol is run * 16 + size: so many zeros, then so many bits of value (DC:
size alone). In the scan a byte 255 is followed by a byte 0, which is no data ("stuffing"); all bits here are data.

The state of a reader is (position of the next byte, a register whose upper `held` bits are the next ones, held).
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.compiled import compiled
from core.jpeg.header import Header

LOOK = 10
"""Codes up to so many bits are found in one look-up."""
_DHT = 0xC4
DC_SIZES = 12
"""Sizes 0 to 11: all that a difference of two DC values of 8-bit images has."""


class Tables(NamedTuple):
    """Codes of up to 4 + 4 tables; the first index is the table's: DC 0..3, AC 4..7."""

    look: NDArray[np.uint16]
    """[8, 2**LOOK]: symbol * 256 + length of the code that these bits start with; 0: it is longer."""
    last: NDArray[np.int64]
    """[8, 18]: the last code of each length, -1 where there is none; entry 17 is above all."""
    offset: NDArray[np.int64]
    """[8, 17]: what to add to a code of this length to find its symbol's place."""
    symbols: NDArray[np.uint8]
    """[8, 256]: the symbols by code."""
    codes: NDArray[np.int64]
    """[8, 16]: DC only: code * 32 + length of each size, -1 where there is none."""


Definition = tuple[int, bytes, bytes]
"""A table as a file defines it: its index (DC 0..3, AC 4..7), 16 counts of codes by length, symbols."""


def definitions(data: bytes, header: Header) -> tuple[Definition, ...] | None:
    """The tables that the header defines, each as it is when the scan begins, the DC tables completed.

    A crop's differences of DC values need sizes that an image's own need not have, so that missing ones are appended as
    the longest codes; the others stay as they are. None: a table is malformed, or has no room.
    """
    tables: dict[int, Definition] = {}
    for marker, start, end in header.parts:
        at = start + 4
        while marker == _DHT and at < end:
            counts = data[at + 1 : at + 17]
            symbols = data[at + 17 : at + 17 + sum(counts)]
            key = (data[at] & 3) + (4 if data[at] >> 4 else 0)
            tables[key] = key, counts, symbols
            at += 17 + sum(counts)
        if marker == _DHT and at != end:
            return None
    if any(len(symbols) > 256 for _, _, symbols in tables.values()):
        return None
    for component in header.components:
        dc, ac = component.dc_table, component.ac_table
        if dc not in tables or ac + 4 not in tables or (complete := _complete(tables[dc])) is None:
            return None
        tables[dc] = complete
        if not _fits(tables[ac + 4][1]):
            return None
    return tuple(tables[key] for key in sorted(tables))


def _fits(counts: bytes) -> bool:
    """Whether so many codes of these lengths exist, all ones excluded, as T.81 asks."""
    return len(counts) == 16 and sum(n << (16 - length) for length, n in enumerate(counts, 1)) < 1 << 16


def _complete(table: Definition) -> Definition | None:
    """The DC table with a code for every size. None: no room."""
    key, counts, symbols = table
    missing = bytes(sorted(set(range(DC_SIZES)) - set(symbols)))
    if not _fits(counts) or max(symbols, default=99) >= DC_SIZES:
        return None
    longest = max(length for length, n in enumerate(counts, 1) if n)
    if longest + len(missing) > 16:
        return None
    more = bytearray(counts)
    for i in range(len(missing)):
        more[longest + i] = 1
    return key, bytes(more), symbols + missing


@lru_cache(maxsize=256)
def tables(defined: tuple[Definition, ...]) -> Tables:
    """The look-up tables of these definitions. Most files of a set share them."""
    result = Tables(
        np.zeros((8, 1 << LOOK), np.uint16),
        np.full((8, 18), -1, np.int64),
        np.zeros((8, 17), np.int64),
        np.zeros((8, 256), np.uint8),
        np.full((8, 16), -1, np.int64),
    )
    for key, counts, symbols in defined:
        _fill(result, key, np.frombuffer(counts, np.uint8), np.frombuffer(symbols, np.uint8))
    return result


@compiled()
def _fill(tables: Tables, key: int, counts: NDArray[np.uint8], symbols: NDArray[np.uint8]) -> None:  # pragma: no cover
    code, place = 0, 0
    tables.symbols[key, : len(symbols)] = symbols
    for length in range(1, 17):
        tables.offset[key, length] = place - code
        for _ in range(counts[length - 1]):
            symbol = symbols[place]
            if length <= LOOK:
                first = code << (LOOK - length)
                tables.look[key, first : first + (1 << (LOOK - length))] = symbol * 256 + length
            if key < 4 and symbol < 16:
                tables.codes[key, symbol] = code * 32 + length
            code += 1
            place += 1
        if counts[length - 1]:
            tables.last[key, length] = code - 1
        code <<= 1
    tables.last[key, 17] = 1 << 20
