"""What a set's authors published: one archive, its address and checksum, and those of the files inside it."""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from core.data.records import DataError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Published:
    """An archive that anyone may download."""

    url: str
    """Where its authors offer it."""
    archive: str
    """Its file name, below the data root."""
    md5: str
    """Its MD5, 32 hex digits: what its authors state, no protection against a forger."""
    folder: str
    """The one folder that it unpacks to."""
    files: Mapping[str, str] = field(default_factory=dict)
    """File below that folder -> its MD5, for the files that identify the set."""

    def check(self, root: Path) -> Iterator[str]:
        """Yield a line for the archive and for each file that is there: whether it is the published one.

        DataError: a file cannot be read, or neither archive nor folder is there.
        """
        expected = {root / self.archive: self.md5}
        expected |= {root / self.folder / name: md5 for name, md5 in self.files.items()}
        there = {path: md5 for path, md5 in expected.items() if path.is_file()}
        if (root / self.folder).is_dir() and not self.files:
            yield f"{root / self.folder}: a folder, of whose files no checksums are published"
        elif not there:
            raise DataError(f"{root}: expected {self.archive} or {self.folder}/, neither is there")
        for path, md5 in there.items():
            found = md5_of(path)
            yield f"{path}: " + (
                "the published file"
                if found == md5
                else f"not the published file (MD5 {found}, published {md5}): a subset, or changed"
            )


def md5_of(path: Path) -> str:
    """A file's MD5 in hexadecimal. DataError: it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def say_if_subset(name: str, split: str, root: Path, count: int, official: int) -> None:
    """Log, once in a process, that a split is not as large as the published one."""
    if count != official:
        say_once(f"{name}, split {split!r} in {root}: {count:,} images, published are {official:,}")


@lru_cache(maxsize=64)
def say_once(message: str) -> None:
    """Log a message unless this process has: records are read several times in a run."""
    _log.info("%s", message)
