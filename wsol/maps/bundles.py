"""Shards: .npz files that hold many maps each, with their ids."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from core.errors import UserError
from eval.localization.truth import ScoreMap
from wsol.maps.arrays import stack_of
from wsol.maps.folders import digest
from wsol.maps.npy import Handle, parse
from wsol.maps.source import Source
from wsol.maps.zipped import members, unpack

_NEEDS = {"ids.npy", "maps.npy"}


def is_bundle(path: Path) -> bool:
    """Whether an .npz file has `ids` and `maps`. UserError: it is damaged."""
    return _NEEDS <= {member.name for member in members(path)}


class Bundles(Source):
    """The maps of all shards, in the shards' order."""

    def __init__(self, path: Path, files: Sequence[Path]) -> None:
        """UserError names the file: damaged, not a shard, or its arrays differ in length."""
        raise NotImplementedError

    @property
    def sizes(self) -> Mapping[str, tuple[int, int]]:
        """What the shards' `sizes` say."""
        raise NotImplementedError

    def fingerprint(self) -> str:
        """Over the shards' names, sizes and times."""
        raise NotImplementedError

    def _map(self, place: int) -> ScoreMap:
        raise NotImplementedError
