"""Decode an image file to RGB, whatever it really holds, or say which file is at fault.

Public sets hold surprises under honest names: ImageNet has CMYK JPEGs and a PNG called .JPEG, all sets have greyscale.
EXIF orientation is ignored, as every annotation of these sets refers to the pixels as stored. The decode is plain
libjpeg, never scaled while decoding (`draft`), so that pixels equal those of other Pillow pipelines: `read_rgb` goes
through Pillow; `open_picture` through simplejpeg for baseline JPEGs, with the same pixels sooner, else through Pillow.
"""

import struct
import warnings
import zlib
from io import BytesIO
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from core.data.pictures import Decoded, Picture, Pixels, Source, Stored
from core.data.records import DataError
from core.jpeg.crop import decode_crop
from core.jpeg.header import Header, parse
from core.jpeg.segments import Starts

# Every other reader is kept away from files that strangers made: Pillow's PostScript one starts a program.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)

_MOST_PIXELS = 178_956_970  # what Pillow takes at most

# Pillow warns from 89 megapixels and refuses from 179; a warning per large photograph is noise, the refusal stays.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def open_picture(source: Source) -> Picture:
    """The image, ready to be cropped; of a baseline JPEG only the header is parsed yet. DataError as in `read_rgb`."""
    return source.open() if isinstance(source, Stored) else picture(file_bytes(source), str(source))


def picture(data: bytes, where: str) -> Picture:
    """An image from its file's bytes; `where`: what messages call it. DataError as in `read_rgb`."""
    header = parse(data)
    if header is None or header.height * header.width > _MOST_PIXELS:
        return Decoded(np.array(decode_rgb(data, where)))
    return Jpeg(data, where, header)


class Jpeg(Picture):
    """A baseline JPEG file: of what is not in a crop, no more is decoded than `core.jpeg.crop` has to."""

    def __init__(self, data: bytes, where: str, header: Header, starts: Starts | None = None) -> None:
        """data: the file. where: what messages call it. header: parsed. starts: of its restart segments, if known."""
        self.data, self.where, self.header, self.starts = data, where, header, starts
        self.height, self.width = header.height, header.width

    def crop(self, top: int, left: int, height: int, width: int) -> Pixels:
        """The box alone, of a new array or a view of one."""
        try:
            return decode_crop(self.data, self.header, top, left, height, width, self.starts)
        except ValueError:  # the general reader's verdict counts, and its message
            return np.array(decode_rgb(self.data, self.where))[top : top + height, left : left + width]


def file_bytes(source: Source) -> bytes:
    """The image's file. DataError: it does not exist, cannot be read, or the image is none (a row of an array)."""
    try:
        return source.read_bytes()
    except OSError as error:
        raise _unreadable(source, error) from error


def read_rgb(source: Source) -> Image.Image:
    """The image at full size, mode RGB. Alpha is dropped, not composed; 16-bit grey keeps its upper 8 bits.

    DataError names the file: it does not exist, is empty, is not an image of a known kind, is truncated or broken.
    """
    if isinstance(source, Stored):
        return Image.fromarray(source.open().whole())
    return decode_rgb(file_bytes(source), str(source))


def decode_rgb(data: bytes, where: str) -> Image.Image:
    """`read_rgb` of a file's bytes; `where`: what messages call it."""
    with _open(BytesIO(data), where) as image:
        try:
            image.load()
            return _to_rgb(image)
        except _BROKEN as error:
            raise DataError(f"{where}: truncated or broken {image.format} image ({_reason(error)})") from error


def image_size(source: Source) -> tuple[int, int]:
    """(width, height) in pixels from the header; nothing is decoded. DataError as in `read_rgb`."""
    if isinstance(source, Stored):
        stored = source.open()
        return stored.width, stored.height
    try:
        file = source.open("rb")
    except OSError as error:
        raise _unreadable(source, error) from error
    with file, _open(file, str(source)) as image:
        return image.size


def _unreadable(source: Source, error: OSError) -> DataError:
    why = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
    return DataError(f"{source}: the image file {why}")


def _open(file: BinaryIO, where: str) -> Image.Image:
    try:
        return Image.open(file, formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise DataError(f"{where}: refused, too many pixels for a photograph ({_reason(error)})") from error
    except UnidentifiedImageError as error:
        file.seek(0)
        start = file.read(12)
        came = f"its first bytes are {start!r}" if start else "the file is empty (0 bytes)"
        readable = f"readable are {', '.join(_FORMATS)}"
        raise DataError(f"{where}: not an image, or cut off in its header: {came}; {readable}") from error
    except _BROKEN as error:
        raise DataError(f"{where}: cannot be read as an image ({_reason(error)})") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image.copy()
    if image.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion clips everything above 255 to white
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
