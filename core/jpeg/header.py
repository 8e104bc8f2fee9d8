"""The header of a baseline JPEG: what must be known to decode a part of it.

Source: ITU-T T.81 (JPEG), annex B (markers); T.871 (JFIF). An MCU is the smallest unit of the scan: 8 x 8 pixels times
the luma's sampling factors (16 x 16 for 4:2:0). Only files of one scan in Huffman code and of 8 bits are described:
greyscale, or three components whose chroma has the sampling factors 1 x 1 (4:4:4, 4:2:2, 4:4:0, 4:2:0). All others
(progressive, arithmetic, CMYK, 12 bits, several scans) are None: they are decoded whole.
"""

from dataclasses import dataclass

_SOI, _EOI, _SOS, _DRI, _DHT, _DNL = 0xD8, 0xD9, 0xDA, 0xDD, 0xC4, 0xDC
_SOF0, _SOF1 = 0xC0, 0xC1  # baseline, extended sequential; both in Huffman code
_OTHER_FRAMES = frozenset(range(0xC2, 0xD0)) - {_DHT, 0xC8, 0xCC}
_KEPT = frozenset((_DHT, _DRI, _SOF0, _SOF1))
_FACTORS = (1, 2)


@dataclass(frozen=True, slots=True)
class Component:
    """A colour component: its sampling factors, and the Huffman tables (0..3) of its DC and AC coefficients."""

    across: int
    down: int
    dc_table: int
    ac_table: int


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the scan. Offsets are bytes from the start of the file."""

    height: int
    """Rows, in pixels."""
    width: int
    """Columns, in pixels."""
    components: tuple[Component, ...]
    """One (grey) or three (Y, Cb, Cr, or R, G, B)."""
    restart_interval: int
    """MCUs between two restart markers; 0: there are none."""
    size_at: int
    """Where the frame header states height and width, 2 bytes each."""
    scan_at: int
    """Where the entropy-coded data begins."""
    parts: tuple[tuple[int, int, int], ...]
    """(marker, start, end) of frame, Huffman tables, restart intervals and scan header, in the file's order."""

    @property
    def mcu_height(self) -> int:
        """Rows of an MCU, in pixels. The only component of a greyscale image has MCUs of one block."""
        return 8 * self.components[0].down if len(self.components) > 1 else 8

    @property
    def mcu_width(self) -> int:
        """Columns of an MCU, in pixels."""
        return 8 * self.components[0].across if len(self.components) > 1 else 8

    @property
    def mcu_rows(self) -> int:
        """Rows of MCUs; the last one may reach past the image."""
        return -(-self.height // self.mcu_height)

    @property
    def mcu_columns(self) -> int:
        """MCUs of such a row."""
        return -(-self.width // self.mcu_width)

    @property
    def subsampled(self) -> bool:
        """Whether a pixel's colour depends on its neighbours in other MCUs: chroma is interpolated."""
        return self.mcu_height > 8 or self.mcu_width > 8


def parse(data: bytes) -> Header | None:
    """The header of a JPEG file; None where it is not a complete baseline JPEG that can be decoded in part.

    Complete: an end-of-image marker follows the scan, so that a file that was cut off is left to the general reader,
    which refuses it.
    """
    try:
        return _parse(data)
    except (IndexError, KeyError):  # the header is cut off, or names a component that the frame lacks
        return None


def _parse(data: bytes) -> Header | None:
    if data[0] != 0xFF or data[1] != _SOI:
        return None
    at, interval = 2, 0
    frame: tuple[int, int, dict[int, tuple[int, int]]] | None = None
    parts: list[tuple[int, int, int]] = []
    while True:
        marker = data[at + 1]
        if data[at] != 0xFF or marker in _OTHER_FRAMES or marker in (_EOI, _DNL):
            return None
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        end = at + 2 + (data[at + 2] << 8 | data[at + 3])
        if marker == _SOS:
            return _finish(data, at, end, interval, frame, tuple(parts))
        if marker in _KEPT:
            parts.append((marker, at, end))
        if marker in (_SOF0, _SOF1):
            if frame is not None or (frame := _frame(data, at)) is None:
                return None
        elif marker == _DRI:
            interval = data[at + 4] << 8 | data[at + 5]
        at = end


def _frame(data: bytes, at: int) -> tuple[int, int, dict[int, tuple[int, int]]] | None:
    """(height, width, component id -> sampling factors across and down) of the frame header at `at`."""
    height, width = data[at + 5] << 8 | data[at + 6], data[at + 7] << 8 | data[at + 8]
    count = data[at + 9]
    if data[at + 4] != 8 or count not in (1, 3) or height == 0 or width == 0:
        return None
    factors = {data[i]: (data[i + 1] >> 4, data[i + 1] & 15) for i in range(at + 10, at + 10 + 3 * count, 3)}
    (across, down), *chroma = factors.values()
    if len(factors) != count or across not in _FACTORS or down not in _FACTORS or any(c != (1, 1) for c in chroma):
        return None
    return height, width, factors


def _finish(
    data: bytes,
    at: int,
    end: int,
    interval: int,
    frame: tuple[int, int, dict[int, tuple[int, int]]] | None,
    parts: tuple[tuple[int, int, int], ...],
) -> Header | None:
    """The header, whose scan header stands at `at`. None: the scan has not all components in the frame's order."""
    if frame is None:
        return None
    height, width, factors = frame
    count = data[at + 4]
    tables = {data[i]: data[i + 1] for i in range(at + 5, at + 5 + 2 * count, 2)}
    known = all(pair >> 4 < 4 and pair & 15 < 4 for pair in tables.values())
    if not known or list(tables) != list(factors) or data.rfind(b"\xff\xd9", end) < 0:
        return None
    components = tuple(Component(*factors[key], pair >> 4, pair & 15) for key, pair in tables.items())
    size_at = next(start for marker, start, _ in parts if marker in (_SOF0, _SOF1)) + 5
    return Header(height, width, components, interval, size_at, end, (*parts, (_SOS, at, end)))
