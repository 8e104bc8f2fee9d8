"""Copy a JPEG's scan with other restart markers: the compiled loops of `core.jpeg.resegment`.

Source: ITU-T T.81, annex F. In a scan a byte 255 that is data is followed by a byte 0 that is not ("stuffing"); all
bits here are data. A register holds the next bits (reader), or those not yet written (writer), in its upper end.

Positions and registers are uint64: of an index that may be negative numba asks each time whether it is.
All loops stand in one file, as a compiled function that numba kept notices no change in another.
"""

from typing import Any, TypeAlias

import numpy as np
from numba import int64, uint64
from numpy.typing import NDArray

from core.compiled import compiled
from core.jpeg.huffman import LOOK, Tables

Word: TypeAlias = Any
"""An unsigned 64-bit integer, as a compiled loop has it."""
Reader: TypeAlias = tuple[Word, Word, int]
"""Position of the next byte to load, register, bits that it holds."""
Writer: TypeAlias = tuple[Word, Word, int]
"""Position of the next byte to write, register, bits that it holds (fewer than 32)."""

_Look: TypeAlias = NDArray[np.uint16]
_ONE, _TWO, _THREE, _FOUR = (np.uint64(n) for n in (1, 2, 3, 4))


@compiled(inline="always")
def _refill(scan: NDArray[np.uint8], position: Word, register: Word, held: int) -> Reader:  # pragma: no cover
    """More than 32 bits, zeros past the end; to be called with at most 32. A stuffed zero is passed over."""
    end = uint64(len(scan))
    if position + _FOUR <= end:
        word = (
            uint64(scan[position]) << uint64(24)
            | uint64(scan[position + _ONE]) << uint64(16)
            | uint64(scan[position + _TWO]) << uint64(8)
            | uint64(scan[position + _THREE])
        )
        if (~word - uint64(0x01010101)) & word & uint64(0x80808080) == 0:  # none of them is 255
            return position + _FOUR, register | word << uint64(32 - held), held + 32
    while held <= 56:
        byte: Word = uint64(0)
        if position < end:
            byte = uint64(scan[position])
            if byte == 255 and position + _ONE < end and scan[position + _ONE] == 0:
                position += _ONE
        position += _ONE
        register |= byte << uint64(56 - held)
        held += 8
    return position, register, held


@compiled(inline="always")
def _put(
    out: NDArray[np.uint8], at: Word, register: Word, held: int, bits: Word, count: int
) -> Reader:  # pragma: no cover
    """Append the lower `count` (up to 32) bits; fewer than 32 bits stay in the register."""
    register |= bits << uint64(64 - held - count)
    held += count
    if held >= 32:
        word = register >> uint64(32)
        if (~word - uint64(0x01010101)) & word & uint64(0x80808080) == 0:  # none of the four bytes is 255
            out[at] = word >> uint64(24)
            out[at + _ONE] = (word >> uint64(16)) & uint64(255)
            out[at + _TWO] = (word >> uint64(8)) & uint64(255)
            out[at + _THREE] = word & uint64(255)
            at += _FOUR
        else:
            for shift in (24, 16, 8, 0):
                byte = (word >> uint64(shift)) & uint64(255)
                out[at] = byte
                at += _ONE
                if byte == 255:
                    out[at] = 0
                    at += _ONE
        register <<= uint64(32)
        held -= 32
    return at, register, held


@compiled()
def _mark(out: NDArray[np.uint8], at: Word, register: Word, held: int, marker: int) -> Word:  # pragma: no cover
    """Fill the last byte with ones, write a marker; where it ends."""
    if held:
        register |= (uint64(1) << uint64(64 - held)) - uint64(1)
    for _ in range((held + 7) >> 3):
        byte = register >> uint64(56)
        register <<= uint64(8)
        out[at] = byte
        at += _ONE
        if byte == 255:
            out[at] = 0
            at += _ONE
    out[at] = 255
    out[at + _ONE] = marker
    return at + _TWO


@compiled()
def _byte_after(scan: NDArray[np.uint8], position: Word, held: int) -> int:  # pragma: no cover
    """The first byte past those that the reader has used, if only in part; it has read to `position`, holds `held`."""
    at: Any = int64(position)
    for _ in range(held >> 3):
        stuffed = 1 < at <= len(scan) and scan[at - 1] == 0 and scan[at - 2] == 255
        at -= 2 if stuffed else 1
    found: int = at
    return found


@compiled()
def _long_symbol(tables: Tables, key: Word, register: Word) -> int:  # pragma: no cover
    """Symbol * 256 + length of the code at the register's top, longer than LOOK bits; 0: there is no such code."""
    length = LOOK + 1
    while length < 17 and int64(register >> uint64(64 - length)) > tables.last[key, length]:
        length += 1
    place = int64(register >> uint64(64 - length)) + tables.offset[key, length] if length < 17 else -1
    return int64(tables.symbols[key, place]) * 256 + length if 0 <= place < 256 else 0


@compiled()
def _value(register: Word, length: int, size: int) -> int:  # pragma: no cover
    """The signed value of `size` bits that follow a code of `length` bits at the register's top."""
    if size == 0:
        return 0
    bits: int = int64(register << uint64(length) >> uint64(64 - size))
    return bits if bits >> (size - 1) else bits - (1 << size) + 1


@compiled()
def _size(number: int) -> int:  # pragma: no cover
    """Bits of a number's absolute value."""
    size, rest = 0, abs(number)
    while rest:
        rest >>= 1
        size += 1
    return size


@compiled()
def recode(
    scan: NDArray[np.uint8],
    blocks: NDArray[np.int64],
    tables: Tables,
    mcus: int,
    interval_in: int,
    interval: int,
    out: NDArray[np.uint8],
    start: int,
) -> int:  # pragma: no cover
    """Copy the scan with restart markers after every `interval` MCUs; where it ends, or 0: it is broken."""
    look, codes = tables.look, tables.codes  # through the tuple each time, they would be counted as a reference
    before_in, before_out = np.zeros(4, np.int64), np.zeros(4, np.int64)  # DC values of the last block, by component
    source: Reader = uint64(0), uint64(0), 0
    target: Writer = uint64(start), uint64(0), 0
    position, register, held = source
    at, written, pending = target
    for mcu in range(mcus):
        if mcu and mcu % interval == 0:
            at, written, pending = _mark(out, at, written, pending, 0xD0 + (mcu // interval - 1) % 8), uint64(0), 0
            before_out[:] = 0
        if interval_in and mcu and mcu % interval_in == 0:
            byte = _byte_after(scan, position, held)
            if byte + 2 > len(scan) or scan[byte] != 255 or scan[byte + 1] & 0xF8 != 0xD0:
                return 0
            position, register, held = uint64(byte + 2), uint64(0), 0
            before_in[:] = 0
        if position > uint64(len(scan) + 8):
            return 0
        for block in range(len(blocks)):
            if held <= 32:
                position, register, held = _refill(scan, position, register, held)
            component, key = blocks[block, 0], uint64(blocks[block, 1])
            found = int64(look[key, register >> uint64(64 - LOOK)])
            if found == 0:
                found = _long_symbol(tables, key, register)
            if found == 0 or found >> 8 > 11:
                return 0
            used = (found & 255) + (found >> 8)
            dc = before_in[component] + _value(register, found & 255, found >> 8)
            if before_in[component] == before_out[component]:
                at, written, pending = _put(out, at, written, pending, register >> uint64(64 - used), used)
            else:
                change = dc - before_out[component]
                size = _size(change)
                if size > 11:
                    return 0
                low = (change if change >= 0 else change - 1) & ((1 << size) - 1)
                code = codes[key, size]
                word = uint64(code >> 5 << size | low)
                at, written, pending = _put(out, at, written, pending, word, (code & 31) + size)
            before_in[component] = before_out[component] = dc
            register <<= uint64(used)
            held -= used
            key, k = uint64(blocks[block, 2]), 1
            while k < 64:
                if held <= 32:
                    position, register, held = _refill(scan, position, register, held)
                found = int64(look[key, register >> uint64(64 - LOOK)])
                if found == 0:
                    found = _long_symbol(tables, key, register)
                    if found == 0:
                        return 0
                used = (found & 255) + (found >> 8 & 15)
                at, written, pending = _put(out, at, written, pending, register >> uint64(64 - used), used)
                register <<= uint64(used)
                held -= used
                if found >> 8 == 0:  # end of block
                    break
                k += (found >> 12) + 1
            if k > 64:
                return 0
    byte = _byte_after(scan, position, held)
    if byte + 2 > len(scan) or scan[byte] != 255 or scan[byte + 1] != 0xD9:
        return 0
    end: Any = int64(_mark(out, at, written, pending, 0xD9))
    total: int = end
    return total
