"""Images in a zip archive, decoded from the member's bytes."""

import contextlib
from dataclasses import dataclass

import numpy as np

from core.data.archives import Member, ZipArchive
from core.data.pictures import Decoded, Picture, Pixels, Stored
from core.data.rawbytes import read_rgb_bytes
from core.jpeg.crop import decode
from core.jpeg.header import parse


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
    if parse(data) is not None:
        with contextlib.suppress(ValueError):  # the general reader's verdict counts, and its message
            return decode(data)
    return np.asarray(read_rgb_bytes(data, where))
