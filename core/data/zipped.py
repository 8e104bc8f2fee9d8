"""Images in a zip archive, decoded from the member's bytes."""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from core.data.archives import Member, ZipArchive
from core.data.pictures import Decoded, Picture, Pixels, Stored
from core.data.records import DataError
from core.jpeg.crop import decode
from core.jpeg.header import parse

_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")


@dataclass(frozen=True, slots=True)
class ZipImage(Stored):
    """An image that is a member of a zip."""

    archive: ZipArchive
    member: Member

    @property
    def where(self) -> str:
        """The archive and the member."""
        return f"{self.archive.path}: member {self.member.name}"

    @property
    def nbytes(self) -> int:
        """Unpacked, so that the set's identity is that of the folder which the archive unpacks to."""
        return self.member.size

    def open(self) -> Picture:
        """The image; its checksum is verified."""
        return Decoded(_decode(self.archive.read(self.member), self.where))

    def __str__(self) -> str:
        return self.where


def _decode(data: bytes, where: str) -> Pixels:
    try:
        if parse(data) is not None:
            return decode(data)
        with Image.open(BytesIO(data), formats=_FORMATS) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: not an image, or a broken one ({error})") from error
