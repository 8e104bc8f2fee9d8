"""Write score maps as shards, .npz files of many maps each, so that a killed extraction goes on.

A shard holds `ids` [n], `maps` [n, H, W] float16, `windows` [n, 4] (what part of the image a map covers), `sizes`
[n, 2] (the image's width and height), `ranked` [n, K] (the classifier's classes, best first) and `crc` [n] (each map's
CRC-32). Letters: n maps in a shard, H rows, W columns, K classes.
"""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from core import atomic
from core.errors import UserError

SETTINGS = "settings.json"
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
        raise NotImplementedError

    def done_ids(self) -> frozenset[str]:
        """Ids of the maps that are on disk."""
        raise NotImplementedError

    def add(
        self, ids: Sequence[str], maps: np.ndarray, windows: np.ndarray, sizes: np.ndarray, ranked: np.ndarray
    ) -> None:
        """Add maps [n, H, W] (kept as float16), windows [n, 4], sizes [n, 2] and ranked classes [n, K].

        Maps of another H or W than the last ones begin a new shard. ValueError: lengths differ, an id twice.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Write what is left. Without it the last maps are lost, as after a kill."""
        raise NotImplementedError

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
