"""Decode an image file to RGB, whatever it really holds, or say which file is at fault.

Public sets hold surprises under honest names: ImageNet has CMYK JPEGs and a PNG called .JPEG, all sets have greyscale.
EXIF orientation is ignored, as every annotation of these sets refers to the pixels as stored. The decode is plain
libjpeg, never scaled while decoding (`draft`), so that pixels equal those of other Pillow pipelines: `read_rgb` goes
through Pillow; `open_picture` through simplejpeg for baseline JPEGs, with the same pixels sooner, else through Pillow.
"""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from core.data.pictures import Decoded, Picture, Pixels, Source, Stored
from core.data.records import DataError
from core.jpeg.crop import decode_crop
from core.jpeg.header import Header, parse

# Every other reader is kept away from files that strangers made: Pillow's PostScript one starts a program.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)

_MOST_PIXELS = 178_956_970  # what Pillow takes at most

# Pillow warns from 89 megapixels and refuses from 179; a warning per large photograph is noise, the refusal stays.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def open_picture(source: Source) -> Picture:
    """The image, ready to be cropped; of a baseline JPEG only the header is parsed yet. DataError as in `read_rgb`."""
    if isinstance(source, Stored):
        return source.open()
    try:
        data = source.read_bytes()
    except OSError:  # the general reader says what is wrong
        data = b""
    header = parse(data)
    if header is None or header.height * header.width > _MOST_PIXELS:
        return Decoded(np.array(read_rgb(source)))
    return _Jpeg(source, data, header)


class _Jpeg(Picture):
    """A baseline JPEG file whose bytes have been read: a crop is decoded down to its bottom row."""

    def __init__(self, path: Path, data: bytes, header: Header) -> None:
        self.path, self.data, self.header = path, data, header
        self.height, self.width = header.height, header.width

    def crop(self, top: int, left: int, height: int, width: int) -> Pixels:
        try:
            return decode_crop(self.data, self.header, top, left, height, width)
        except ValueError:  # the general reader's verdict counts, and its message
            return np.array(read_rgb(self.path))[top : top + height, left : left + width]


def read_rgb(path: Source) -> Image.Image:
    """The image at full size, mode RGB. Alpha is dropped, not composed; 16-bit grey keeps its upper 8 bits.

    DataError names the file: it does not exist, is empty, is not an image of a known kind, is truncated or broken.
    """
    if isinstance(path, Stored):
        return Image.fromarray(path.open().whole())
    with _open(path) as image:
        try:
            image.load()
            return _to_rgb(image)
        except _BROKEN as error:
            raise DataError(f"{path}: truncated or broken {image.format} image ({_reason(error)})") from error


def image_size(path: Source) -> tuple[int, int]:
    """(width, height) in pixels from the header; nothing is decoded. DataError as in `read_rgb`."""
    if isinstance(path, Stored):
        picture = path.open()
        return picture.width, picture.height
    with _open(path) as image:
        return image.size


def _open(path: Path) -> Image.Image:
    try:
        return Image.open(path, formats=_FORMATS)
    except FileNotFoundError as error:
        raise DataError(f"{path}: the image file does not exist") from error
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: refused, too many pixels for a photograph ({_reason(error)})") from error
    except UnidentifiedImageError as error:
        with Path(path).open("rb") as file:
            start = file.read(12)
        came = f"its first bytes are {start!r}" if start else "the file is empty (0 bytes)"
        readable = f"readable are {', '.join(_FORMATS)}"
        raise DataError(f"{path}: not an image, or cut off in its header: {came}; {readable}") from error
    except _BROKEN as error:
        raise DataError(f"{path}: cannot be read as an image ({_reason(error)})") from error


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
