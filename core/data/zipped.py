"""Images in a zip archive, decoded from the member's bytes."""

from dataclasses import dataclass

from core.data.archives import Member, ZipArchive
from core.data.images import picture
from core.data.pictures import Picture, Stored


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
        return picture(self.read_bytes(), self.where)

    def read_bytes(self) -> bytes:
        """The member, its checksum verified."""
        return self.archive.read(self.member)
