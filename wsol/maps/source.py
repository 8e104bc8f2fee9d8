"""Score maps by image id, from whatever holds them. `open_source` looks at the path and says what it is.

| path | id of a map |
|---|---|
| a folder of .npy files, in sub-folders or not | the path below the folder, without .npy (wsolevaluation's maps) |
| a folder of .npz files with one array each | the same, without .npz |
| a folder of shards: .npz files with `ids` [n] and `maps` [n, H, W] | `ids` (`python -m wsol extract` writes these) |
| one such .npz | `ids` |
| one .npz with an array for each image, a .zip of .npy files | the member's name, without .npy |
| one .npy array [N, H, W] | the lines of a text file, one for each map |

Maps are read one at a time and in place: no source holds more of them in memory than one, or one small array.
No pickle is ever read. Letters: N maps in all, n in one file, H rows, W columns.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from core.errors import UserError
from eval.localization.truth import ScoreMap

_SUFFIXES = (".npy", ".npz", ".zip")


class Source(ABC):
    """Score maps by id. Can be pickled, for worker processes."""

    def __init__(self, path: Path, ids: Sequence[str]) -> None:
        """UserError: there are no ids, or some are there twice (they are named)."""
        self.path = path
        """Where the maps are."""
        self.ids: tuple[str, ...] = tuple(ids)
        """All ids, in the order in which the maps are read fastest."""
        self._places = {id: place for place, id in enumerate(self.ids)}
        if not self.ids:
            raise UserError(f"{path}: holds no score maps")
        if len(self._places) != len(self.ids):
            twice = [id for id, count in Counter(self.ids).items() if count > 1]
            raise UserError(f"{path}: {len(twice)} ids are there twice: {_some(twice)}")
        self._floats: bool | None = None

    def read(self, ids: Sequence[str], skipped: list[tuple[str, str]] | None = None) -> Iterator[ScoreMap]:
        """The maps of these ids, in this order, each read when it is asked for.

        Args:
            ids: any of `ids`.
            skipped: where given, a map that cannot be read is appended to it, (id, why), and left out.

        Raises:
            UserError: no such id; a map that cannot be read (file or member is named); 8-bit among float maps.
        """
        for id in ids:
            try:
                found = self.get(id)
            except UserError as error:
                if skipped is None:
                    raise
                skipped.append((id, str(error)))
            else:
                yield found

    def get(self, id: str) -> ScoreMap:
        """One map. Errors as in `read`."""
        place = self._places.get(id)
        if place is None:
            raise UserError(f"{self.path}: has no map of {id!r}; ids there are: {_some(self.ids, 3)}")
        found = self._map(place)
        if (found.values.dtype != np.uint8) != self._are_floats():
            raise UserError(
                f"{self.path}: the map of {id!r} is {found.values.dtype}, others are "
                f"{'floats' if self._floats else '8-bit'}: expected all of one kind, they are scaled differently"
            )
        return found

    @property
    def sizes(self) -> Mapping[str, tuple[int, int]]:
        """(width, height) of the images that the maps were made from, where the source says so; else empty."""
        return {}

    @property
    def classes(self) -> int | None:
        """How many classes the classifier knows that made the maps, where the source says so."""
        return None

    @abstractmethod
    def fingerprint(self) -> str:
        """16 hex digits over names, sizes and times of the files: the maps' identity. No map is read.

        The time is part of it, as maps made anew have the names and sizes of the old ones.
        """

    @abstractmethod
    def _map(self, place: int) -> ScoreMap:
        """The map of `ids[place]`. UserError names the file or member that cannot be read."""

    def _are_floats(self) -> bool:
        """Whether the first map that can be read is of floats: the same answer in every process."""
        if self._floats is None:
            self._floats = True
            for place in range(len(self.ids)):
                try:
                    self._floats = self._map(place).values.dtype != np.uint8
                except UserError:
                    continue
                break
        return self._floats


def open_source(path: Path, ids_file: Path | None = None) -> Source:
    """What `path` holds, as the table above says.

    Args:
        path: a folder, .npy, .npz or .zip file.
        ids_file: the ids of one .npy array [N, H, W], a line each; for nothing else.

    Raises:
        UserError: the path does not exist, is of no known kind, is damaged, holds no maps or an id twice, or ids and
            maps differ in number.
    """
    from wsol.maps.arrays import ArrayFile
    from wsol.maps.bundles import Bundles, is_bundle
    from wsol.maps.folders import Folder, map_files
    from wsol.maps.zipped import Members

    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} does not exist: expected a folder of score maps, or a file {', '.join(_SUFFIXES)}")
    if path.is_dir():
        _no_ids(path, ids_file)
        names = map_files(path)
        packed = names[0].endswith(".npz") and is_bundle(path / names[0])
        return Bundles(path, [path / name for name in names]) if packed else Folder(path, names)
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return ArrayFile(path, ids_file)
    _no_ids(path, ids_file)
    if suffix not in _SUFFIXES:
        raise UserError(f"{path}: expected a folder of score maps, or a file {', '.join(_SUFFIXES)}")
    return Bundles(path, [path]) if suffix == ".npz" and is_bundle(path) else Members(path)


def _no_ids(path: Path, ids_file: Path | None) -> None:
    if ids_file is not None:
        raise UserError(f"{path} has ids of its own: an id list ({ids_file}) is for one .npy array [N, H, W]")


def _some(ids: Sequence[str], most: int = 10) -> str:
    return ", ".join(map(repr, ids[:most])) + (", ..." if len(ids) > most else "")
