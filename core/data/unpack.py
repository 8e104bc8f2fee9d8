"""Unpack an archive of one folder, whole or not at all, and nothing beside that folder."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from core.data.archives import TAR_DAMAGE, check_name, damaged_tar, open_tar, open_zip
from core.data.records import DataError

_LIMIT = 4 << 30  # bytes unpacked: many times the largest of these sets, less than an archive that is made as a trap
_COPY = 1 << 20


def unpack(archive: Path, folder: str) -> Path:
    """Unpack a .zip, .tar or .tar.gz beside itself, into the one folder that it holds.

    Files alone are written, by name and bytes: no links, devices, owners or modes come from the archive. The folder
    appears when all is written; a kill leaves one that begins with a dot, which the next call removes.

    Args:
        archive: the file. folder: what its members' names begin with.

    Returns:
        The folder.

    Raises:
        DataError: a member would be written elsewhere, is neither file nor folder, or all of them are larger than
            4 GiB; the archive is cut off or damaged; the folder is there already.
    """
    target = archive.parent / folder
    if target.exists():
        raise DataError(f"{target} is there already; remove it to unpack {archive.name} anew")
    part = archive.parent / f".{folder}.part"
    shutil.rmtree(part, ignore_errors=True)
    members = _zipped(archive) if archive.suffix == ".zip" else _tarred(archive)
    left = _LIMIT
    try:
        for name, size, content in members:
            left -= size
            if left < 0:
                raise DataError(f"{archive}: refused, it unpacks to more than {_LIMIT >> 30} GiB")
            check_name(name, archive)
            parts = PurePosixPath(name).parts  # which take "set//etc/x" for "set/etc/x"
            if len(parts) < 2 or parts[0] != folder:
                raise DataError(f"{archive}: refused, its member {name!r} is not in the folder {folder}/")
            path = part.joinpath(*parts[1:])
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    shutil.copyfileobj(content, file, _COPY)
        os.rename(part, target)  # noqa: PTH104  # refuses a target with content, as Path.replace does not everywhere
    except FileExistsError as error:
        raise DataError(f"{archive}: refused, a member is there twice ({error.filename})") from error
    except TAR_DAMAGE as error:
        raise damaged_tar(archive, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _zipped(archive: Path) -> Iterator[tuple[str, int, bytes]]:
    source = open_zip(archive)
    for member in source.members.values():
        yield member.name, member.size, source.read(member)


def _tarred(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    with open_tar(archive) as source:
        for entry in source:
            if entry.isdir():
                check_name(entry.name, archive)
                continue
            file = source.extractfile(entry) if entry.isfile() else None
            if file is None:
                raise DataError(f"{archive}: refused, its member {entry.name!r} is neither a file nor a folder")
            yield entry.name, entry.size, file
