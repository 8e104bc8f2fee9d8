"""Write score maps as shards, .npz files of many maps each, so that a killed extraction goes on.

A shard holds `ids` [n], `maps` [n, H, W] float16, `windows` [n, 4] (what part of the image a map covers), `sizes`
[n, 2] (the image's width and height), `ranked` [n, K] (the classifier's classes, best first; K = 0: not known) and
`crc` [n] (each map's `npy.checksum`). Letters: n maps in a shard, H rows, W columns, K classes.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from core import atomic
from core.errors import UserError
from wsol.maps.bundles import SETTINGS, Bundle
from wsol.maps.npy import checksum

FOLDER = "shards"


class ShardWriter:
    """Writes FOLDER/settings.json and FOLDER/shards/00000.npz, ...; each shard whole or not at all."""

    def __init__(self, folder: Path, *, settings: dict[str, Any], shard_size: int = 1024) -> None:
        """Open a folder to write, or to go on with.

        Args:
            folder: made where it is absent.
            settings: what made the maps (method, backbone's digest, geometry, data set, split): plain JSON.
            shard_size: maps in a shard.

        Raises:
            UserError: the folder holds maps of other settings (the differences are shown), or a damaged shard.
        """
        self._folder, self._size = Path(folder) / FOLDER, shard_size
        _keep_settings(Path(folder), settings)
        shards = sorted(self._folder.glob("*.npz"))
        self._number = 1 + max((int(path.stem) for path in shards if path.stem.isdecimal()), default=-1)
        self._done = {id for path in shards for id in Bundle(path).ids}
        self._waiting: list[tuple[Any, ...]] = []

    def done_ids(self) -> frozenset[str]:
        """Ids of the maps that are on disk or were added."""
        return frozenset(self._done)

    def add(
        self, ids: Sequence[str], maps: np.ndarray, windows: np.ndarray, sizes: np.ndarray, ranked: np.ndarray
    ) -> None:
        """Add maps [n, H, W] (kept as float16), windows [n, 4], sizes [n, 2] and ranked classes [n, K].

        Maps of another H or W than the last ones begin a new shard. A map's scale does not matter to the evaluator: a
        map whose largest value float16 cannot hold, or holds with less than its 11 bits, must be scaled before.

        Raises:
            ValueError: lengths or shapes differ, an id is there already, a map that float16 cannot hold.
        """
        parts = [np.asarray(maps), np.asarray(windows), np.asarray(sizes), np.asarray(ranked)]
        shapes = [part.shape for part in parts]
        if {len(part) for part in parts} != {len(ids)} or shapes[1:3] != [(len(ids), 4), (len(ids), 2)]:
            raise ValueError(f"expected {len(ids)} maps, windows [n, 4], sizes [n, 2], ranked [n, K]; came {shapes}")
        if twice := sorted(id for id, count in Counter(ids).items() if count > 1 or id in self._done):
            raise ValueError(f"ids are there already, or twice: {twice}")
        _check_range(ids, parts[0])
        self._done.update(ids)
        for row in zip(ids, parts[0].astype(np.float16), *parts[1:], strict=True):
            if self._waiting and self._waiting[-1][1].shape != row[1].shape:
                self._flush()
            self._waiting.append(row)
            if len(self._waiting) == self._size:
                self._flush()

    def close(self) -> None:
        """Write what is left. Without it the last maps are lost, as after a kill."""
        if self._waiting:
            self._flush()

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()

    def _flush(self) -> None:
        ids, maps, windows, sizes, ranked = zip(*self._waiting, strict=True)
        arrays = {
            "ids": np.array(ids),
            "windows": np.array(windows, np.float64),
            "sizes": np.array(sizes, np.int32),
            "ranked": np.array(ranked, np.int32),
            "crc": np.array([checksum(one) for one in maps], np.uint32),
            "maps": np.stack(maps),
        }
        with atomic.replacing(self._folder / f"{self._number:05d}.npz") as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        self._number += 1
        self._waiting = []


def _keep_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Write settings.json, or hold the one that is there against `settings`."""
    from core.config import differences

    path = folder / SETTINGS
    wanted = json.loads(json.dumps(settings, allow_nan=False))
    if not path.is_file():
        if there := sorted(folder.glob(f"{FOLDER}/*.npz")):
            raise UserError(f"{folder}: holds {len(there)} shards and no {SETTINGS} that says what made them")
        atomic.write_json(path, wanted)
        return
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path}: malformed JSON ({error})") from error
    if lines := differences(found, wanted):
        shown = "\n".join(f"  {line}" for line in lines)
        raise UserError(f"{folder} holds maps of other settings; remove it, or write elsewhere:\n{shown}")


def _check_range(ids: Sequence[str], maps: np.ndarray) -> None:
    """Refuse maps that float16 would turn into infinity or into few distinct values. NaN is the evaluator's to name."""
    if not len(maps):
        return
    peaks = np.abs(maps.reshape(len(maps), -1)).max(axis=1)  # [n]
    limits = np.finfo(np.float16)
    bad = ((peaks > float(limits.max)) & np.isfinite(peaks)) | ((peaks > 0) & (peaks < float(limits.tiny)))
    if bad.any():
        which = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"the map of {ids[which]!r} reaches {peaks[which]:g}, float16 holds {limits.tiny} to {limits.max}: scale "
            f"maps before, the evaluator does not mind"
        )
