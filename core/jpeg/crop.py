"""A box of a JPEG's pixels, equal bit for bit to that part of the whole decode; what need not be decoded is not.

- A file with restart markers that divide its rows of MCUs (`core.jpeg.resegment` makes such files): the box's segments
  alone are decoded.
- A file as it is: a scan runs from top to bottom, so a decoder that is told of fewer rows stops early. The frame
  header's height becomes that of the box's bottom, rounded up to whole MCUs. Where chroma has fewer rows than luma, a
  pixel's colour is interpolated with the next chroma row: the row of pixels that follows the box must be there too.
"""

from typing import cast

import simplejpeg

from core.data.pictures import Pixels
from core.jpeg import segments
from core.jpeg.header import Header


def decode(data: bytes | bytearray) -> Pixels:
    """All pixels [H, W, 3], RGB, of a JPEG file, exact DCT and interpolated chroma as Pillow has them.

    Like Pillow, it overlooks what libjpeg calls a warning (bytes after the image, a broken code in the scan);
    unlike it, also an unknown marker behind the last row.

    Raises:
        ValueError: libjpeg cannot decode it.
    """
    return cast(Pixels, simplejpeg.decode_jpeg(data, strict=False))


def decode_crop(
    data: bytes,
    header: Header,
    top: int,
    left: int,
    height: int,
    width: int,
    starts: segments.Starts | None = None,
) -> Pixels:
    """The pixels [height, width, 3] of a box within the image, RGB; a view of a larger array.

    Args:
        data: the file.
        header: `core.jpeg.header.parse` of it.
        top, left, height, width: the box, in pixels; not empty, within the image.
        starts: `core.jpeg.segments.find` of it where it is known; else the markers are looked for.

    Raises:
        ValueError: libjpeg cannot decode it.
    """
    if starts is None and header.restart_interval:
        starts = segments.find(data, header)
    if starts is not None:
        file, y, x = segments.part(data, header, starts, top, left, height, width)
        return decode(file)[y : y + height, x : x + width]
    step = header.mcu_height
    needed = top + height + (step > 8)
    rows = -(-needed // step) * step
    if rows < header.height:
        at = header.size_at
        data = b"".join((data[:at], rows.to_bytes(2, "big"), data[at + 2 :]))
    return decode(data)[top : top + height, left : left + width]
