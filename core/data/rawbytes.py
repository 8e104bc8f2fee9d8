"""Decode an image file whose bytes are at hand, with the pixels of `core.data.images.read_rgb`."""

from io import BytesIO

from PIL import Image

from core.data.images import _BROKEN, _FORMATS, _reason, _to_rgb
from core.data.records import DataError


def read_rgb_bytes(data: bytes, where: str) -> Image.Image:
    """The image at full size, mode RGB.

    Args:
        data: the file. where: what messages call it.

    Raises:
        DataError: it is no image of a known kind, truncated or broken, or has too many pixels.
    """
    try:
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            return _to_rgb(image)
    except (*_BROKEN, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: not an image, or a truncated or broken one ({_reason(error)})") from error
