"""Shards: .npz files that hold many maps each, with their ids. `wsol.maps.shards` writes them, and says what is in.

Only `ids` [n] and `maps` [n, H, W] are needed, so that `numpy.savez(path, ids=ids, maps=maps)` makes one too, of
float32 or 8-bit maps as well. Without `crc` the whole array is held against its checksum when the source is opened.
"""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from core.errors import UserError
from eval.localization.truth import ScoreMap
from wsol.maps.arrays import stack_of
from wsol.maps.folders import digest
from wsol.maps.npy import Handle, checksum, parse
from wsol.maps.source import Source
from wsol.maps.zipped import Member, members, unpack

SETTINGS = "settings.json"
"""Beside the shards: what made them."""
_NEEDS = {"ids", "maps"}
_KINDS = {"windows": "f", "sizes": "i", "ranked": "i", "crc": "u"}
_COLUMNS = {"windows": 4, "sizes": 2}


def is_bundle(path: Path) -> bool:
    """Whether an .npz file has `ids` and `maps`. UserError: it is damaged."""
    return {member.name.removesuffix(".npy") for member in members(path)} >= _NEEDS


class Bundle:
    """One shard. All but the maps is held in memory: about 60 bytes an image."""

    def __init__(self, path: Path) -> None:
        """UserError names the file and member: damaged, missing, of another shape."""
        self.path = path
        self.handle = handle = Handle(path)
        there = {member.name.removesuffix(".npy"): member for member in members(path)}
        # `crc` says that it is one of ours, which have all.
        if missing := sorted((_NEEDS | _KINDS.keys() if "crc" in there else _NEEDS) - there.keys()):
            names = ", ".join(there) or "none"
            raise UserError(f"{path}: has no array {', '.join(missing)}; arrays there are: {names}")
        self.ids = _ids(_array(handle, there["ids"]), f"{path}: member 'ids'")
        self._more = {name: _more(handle, there[name], len(self.ids)) for name in _KINDS if name in there}
        self._maps = stack_of(handle, there["maps"], checked="crc" not in there)
        if self._maps.shape[0] != len(self.ids):
            raise UserError(f"{path}: expected an id for each of {self._maps.shape[0]} maps, came {len(self.ids)} ids")
        handle.close()

    @property
    def sizes(self) -> np.ndarray | None:
        """[n, 2] width and height of the images, or None."""
        return self._more.get("sizes")

    def __getitem__(self, place: int) -> ScoreMap:
        """One map. UserError: damaged."""
        values = self._maps[place]
        crc, window, ranked = (self._more.get(name) for name in ("crc", "windows", "ranked"))
        if crc is not None and checksum(values) != crc[place]:
            raise UserError(f"{self.path}: the map of {self.ids[place]!r} is damaged (its checksum differs)")
        return ScoreMap(
            self.ids[place],
            values,
            None if window is None else tuple(window[place].tolist()),
            ranked[place].tolist() if ranked is not None and ranked.shape[1] else None,
        )


class Bundles(Source):
    """The maps of all shards, in the shards' order."""

    def __init__(self, path: Path, files: Sequence[Path]) -> None:
        """UserError names the file: damaged, not a shard, or its arrays differ in length."""
        self._bundles = [Bundle(file) for file in files]
        self._open = 0
        self._starts = np.cumsum([0, *(len(bundle.ids) for bundle in self._bundles)]).tolist()
        super().__init__(path, [id for bundle in self._bundles for id in bundle.ids])

    @cached_property
    def sizes(self) -> Mapping[str, tuple[int, int]]:
        """What the shards' `sizes` say."""
        return {
            id: (width, height)
            for bundle in self._bundles
            if bundle.sizes is not None
            for id, (width, height) in zip(bundle.ids, bundle.sizes.tolist(), strict=True)
        }

    @cached_property
    def classes(self) -> int | None:
        """What `settings.json` says. UserError: it is damaged."""
        path = self.path / SETTINGS
        if not path.is_file():
            return None
        try:
            found = json.loads(path.read_text()).get("classes")
        except (ValueError, AttributeError) as error:
            raise UserError(f"{path}: expected a JSON object of settings ({error})") from None
        return found if isinstance(found, int) else None

    def fingerprint(self) -> str:
        """Over the shards' names, sizes and times."""
        return digest(bundle.path for bundle in self._bundles)

    def _map(self, place: int) -> ScoreMap:
        which = bisect_right(self._starts, place) - 1
        if which != self._open:
            # One file at a time: there may be more shards than a process may open files.
            self._bundles[self._open].handle.close()
            self._open = which
        return self._bundles[which][place - self._starts[which]]


def _array(handle: Handle, member: Member) -> np.ndarray:
    return parse(unpack(handle, member), f"{handle.path}: member {member.name!r}")


def _ids(array: np.ndarray, where: str) -> tuple[str, ...]:
    if array.ndim != 1 or array.dtype.kind not in "USiu":
        raise UserError(
            f"{where}: expected ids [n] as text or whole numbers, came {array.dtype} of shape {array.shape}"
        )
    return tuple(id.decode() if isinstance(id, bytes) else str(id) for id in array.tolist())


def _more(handle: Handle, member: Member, count: int) -> np.ndarray:
    """One of the arrays that a shard may have: a row for each map."""
    name = member.name.removesuffix(".npy")
    array, where = _array(handle, member), f"{handle.path}: member {name!r}"
    kind = _KINDS[name]
    shape = (count,) if name == "crc" else (count, _COLUMNS.get(name, array.shape[-1] if array.ndim > 1 else 1))
    right = array.dtype.kind in ("iuf" if kind == "f" else "iu") and array.shape == shape
    if not right:
        numbers = "numbers" if kind == "f" else "whole numbers"
        raise UserError(f"{where}: expected {numbers} of shape {shape}, came {array.dtype} of shape {array.shape}")
    if name == "windows" and not (np.isfinite(array).all() and (array[:, 2:] > array[:, :2]).all()):
        raise UserError(f"{where}: expected x0 < x1 and y0 < y1 in each row, pixels of the image")
    return array
