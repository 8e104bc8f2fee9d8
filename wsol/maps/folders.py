"""A folder with a file for each map: .npy, or .npz with one array."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from core.errors import UserError
from eval.localization.truth import ScoreMap
from wsol.maps.npy import Handle, parse, read_file
from wsol.maps.source import Source

_SUFFIXES = (".npy", ".npz")


def map_files(folder: Path) -> list[str]:
    """Sorted paths below `folder` of its .npy files, or of its .npz files; hidden ones are left out.

    UserError: there is none, there are both kinds, or a folder cannot be read.
    """
    try:
        found = sorted(_walk(str(folder), ""))
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from error
    kinds = {name[-4:] for name in found}
    if not found:
        raise UserError(f"{folder}: expected .npy or .npz files in it or below, there is none")
    if len(kinds) > 1:
        counts = ", ".join(f"{sum(name.endswith(kind) for name in found)} {kind}" for kind in sorted(kinds))
        raise UserError(f"{folder}: expected files of one kind, came {counts}")
    return found


def digest(files: Iterable[str | Path]) -> str:
    """16 hex digits over names, sizes and times of change, in the order given."""
    state = hashlib.sha256()
    for path in files:
        stat = os.stat(path)  # noqa: PTH116  (a Path object for each of 50,000 files costs more than the call)
        state.update(f"{os.path.basename(path)} {stat.st_size} {stat.st_mtime_ns}\n".encode())  # noqa: PTH119
    return state.hexdigest()[:16]


class Folder(Source):
    """A file for each map. wsolevaluation saves these: `<image id>.npy`, folders in ids included."""

    def __init__(self, path: Path, names: list[str]) -> None:
        """names: of the files below `path`, of one kind (`map_files`)."""
        super().__init__(path, [name[:-4] for name in names])
        self._suffix = names[0][-4:]
        self._base = f"{path}{os.sep}"

    def fingerprint(self) -> str:
        """Over all files; 50,000 take half a second."""
        return digest(self._base + id + self._suffix for id in self.ids)

    def _map(self, place: int) -> ScoreMap:
        id = self.ids[place]
        file = self._base + id + self._suffix
        return ScoreMap(id, read_file(file) if self._suffix == ".npy" else _only(Path(file)))


def _only(path: Path) -> np.ndarray:
    """The one array of a .npz file."""
    from wsol.maps.zipped import members, unpack

    found = members(path)
    if len(found) != 1:
        names = ", ".join(member.name for member in found) or "none"
        raise UserError(f"{path}: expected one array, the map of {path.stem!r}; arrays there are: {names}")
    return parse(unpack(Handle(path), found[0]), str(path))


def _walk(folder: str, below: str) -> Iterator[str]:
    """Paths of .npy and .npz files, relative to where the walk began, with slashes."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _walk(entry.path, f"{below}{entry.name}/")
            elif entry.name.endswith(_SUFFIXES):
                yield below + entry.name
