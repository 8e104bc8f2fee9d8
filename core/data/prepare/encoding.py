"""What a shard keeps of one image: its file with restart markers, as it is, or made smaller."""

from typing import NamedTuple

import numpy as np
import simplejpeg
from PIL import Image

from core.data.images import decode_rgb, picture
from core.data.packed import Preparation
from core.data.shard import lengths
from core.jpeg import segments
from core.jpeg.crop import decode
from core.jpeg.header import parse
from core.jpeg.resegment import resegment


class Kept(NamedTuple):
    """An image as it is kept."""

    image: bytes
    lengths: bytes
    """The length of each restart segment, uint16 little-endian; empty: there are none."""


def keep(data: bytes, where: str, preparation: Preparation | None) -> Kept:
    """An image as the shard keeps it.

    Without a preparation the pixels are those of the file, which is checked by decoding both: a file that cannot take
    restart markers, or whose pixels would not be equal (none is known), is kept as it is.

    Args:
        data: the image's file. where: what messages call it. preparation: how it is made smaller; None: not at all.

    Raises:
        DataError: it cannot be decoded.
    """
    return _same(data, where) if preparation is None else _smaller(data, where, preparation)


def _same(data: bytes, where: str) -> Kept:
    pixels = picture(data, where).whole()
    header = parse(data)
    marked = resegment(data, header) if header is not None else None
    if marked is None or not np.array_equal(pixels, decode(marked)):
        return Kept(data, b"")
    return Kept(marked, _lengths(marked))


def _smaller(data: bytes, where: str, preparation: Preparation) -> Kept:
    image = decode_rgb(data, where)
    short = min(image.size)
    if short > preparation.short_side:
        scale = preparation.short_side / short
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    pixels = np.ascontiguousarray(np.asarray(image))
    encoded = simplejpeg.encode_jpeg(pixels, preparation.quality, colorspace="RGB", colorsubsampling="420")
    header = parse(encoded)
    assert header is not None
    marked = resegment(encoded, header)
    assert marked is not None
    return Kept(marked, _lengths(marked))


def _lengths(marked: bytes) -> bytes:
    header = parse(marked)
    assert header is not None
    bounds = segments.find(marked, header)
    return b"" if bounds is None else lengths(bounds)
