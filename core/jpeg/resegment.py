"""Write restart markers into a JPEG without loss: all coefficients stay, and with them the pixels.

At a segment's start the DC values are coded as they are, not as differences to the block before: these few codes are
written anew, all other bits are copied. This is what `jpegtran -restart` does, in half its time, as no process
is started and no coefficient is looked at. The header stays but for the restart interval, and for a size of difference
that the DC values' Huffman table has no code for: such codes are appended (T.81, annex C; libjpeg's own are complete).
"""

import numpy as np
from numpy.typing import NDArray

from core.jpeg.header import Header
from core.jpeg.huffman import Definition, definitions, tables
from core.jpeg.recode import recode

SEGMENT = 32
"""Widest segment that is written where the MCUs of a row allow it, in pixels (measured, see docs/packing.md)."""
_DHT, _SOS, _DRI = 0xC4, 0xDA, 0xDD


def interval_of(header: Header, widest: int = SEGMENT) -> int:
    """MCUs of a segment: the most that divide a row of MCUs and are at most `widest` pixels wide together."""
    most = max(1, widest // header.mcu_width)
    return max(n for n in range(1, most + 1) if header.mcu_columns % n == 0)


def resegment(data: bytes, header: Header, widest: int = SEGMENT) -> bytes | None:
    """The file with restart markers; None where its scan is broken or its Huffman tables have no room.

    Args:
        data: a JPEG file; restart markers that it has are replaced.
        header: `core.jpeg.header.parse` of it.
        widest: the most pixels that a segment is wide.
    """
    defined = definitions(data, header)
    if defined is None:
        return None
    interval = interval_of(header, widest)
    mcus = header.mcu_rows * header.mcu_columns
    start = _header(data, header, defined, interval)
    scan = np.frombuffer(data, np.uint8)[header.scan_at :]
    # The first DC codes of a segment, there or here, take up to 27 bits each instead of 2 or more; then come the rest
    # of a byte and the marker; stuffing may double all. A broken scan is noticed an MCU late: 10 blocks of 64 codes.
    begun = mcus // interval + mcus // (header.restart_interval or mcus) + 1
    room = 2 * (len(scan) + 16 * begun + 10 * 64 * 4)
    out = np.empty(len(start) + room, np.uint8)
    out[: len(start)] = np.frombuffer(start, np.uint8)
    end = recode(scan, _layout(header), tables(defined), mcus, header.restart_interval, interval, out, len(start))
    return out[:end].tobytes() if end > 0 else None


def _header(data: bytes, header: Header, defined: tuple[Definition, ...], interval: int) -> bytes:
    """All up to the scan, with these Huffman tables and this restart interval in front of the scan's header."""
    parts, at = [], 0
    for marker, start, end in header.parts:
        if marker in (_DHT, _DRI):
            parts.append(data[at:start])
            at = end
        elif marker == _SOS:
            parts.append(data[at:start])
            for key, counts, symbols in defined:
                kind = (key & 3) | (0x10 if key > 3 else 0)
                parts += (b"\xff\xc4", (19 + len(symbols)).to_bytes(2, "big"), bytes((kind,)), counts, symbols)
            parts += (b"\xff\xdd\x00\x04", interval.to_bytes(2, "big"), data[start:end])
    return b"".join(parts)


def _layout(header: Header) -> NDArray[np.int64]:
    """[blocks of an MCU, 3]: of each block the component, its DC table and its AC table (4 more than its number)."""
    single = len(header.components) == 1
    return np.array(
        [
            (i, component.dc_table, component.ac_table + 4)
            for i, component in enumerate(header.components)
            for _ in range(1 if single else component.across * component.down)
        ],
        np.int64,
    )
