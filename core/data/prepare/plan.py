"""Which images go into which shard: settled before the first one is written, so that a killed packing goes on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from core import atomic
from core.config import differences, plain
from core.data.packed import FORMAT, MANIFEST, Packed, Preparation, read_manifest
from core.data.records import DataError, DataSet, ImageRecord, file_size

SHARD_BYTES = 512 << 20
"""Bytes of the images' files that make a shard full: ImageNet is 280 of them, few enough to be open all at once."""


@dataclass(frozen=True)
class Plan:
    """A split that is to be packed."""

    data: DataSet[ImageRecord]
    split: str
    preparation: Preparation | None
    folder: Path
    records: tuple[ImageRecord, ...]
    sizes: tuple[int, ...]
    """Bytes of each image's file."""
    ends: tuple[int, ...]
    """The first image past each shard."""
    fingerprint: str
    boxes: bool
    """Whether the boxes of localization, where the set has any, were there to be packed."""

    def shard(self, number: int) -> Path:
        """The file of a shard."""
        return self.folder / f"{self.split}-{number:05d}.shard"

    def range(self, number: int) -> range:
        """The images of a shard."""
        return range(self.ends[number - 1] if number else 0, self.ends[number])

    def identity(self) -> dict[str, Any]:
        """What a packing that goes on must have in common with the one that began."""
        return {
            "data": plain(self.data, hashed_only=True),
            "preparation": plain(self.preparation),
            "split": self.split,
            "fingerprint": self.fingerprint,
            "images": len(self.records),
            "ends": list(self.ends),
        }


def make(
    data: DataSet[ImageRecord],
    root: Path,
    split: str,
    preparation: Preparation | None,
    folder: Path,
    shard_bytes: int = SHARD_BYTES,
) -> Plan:
    """The plan of a split. DataError: the split is not there, or it is packed images itself."""
    if isinstance(data, Packed):
        raise DataError(f"{data.folder}: these are packed images; pack the data set that they were made from")
    records = data.records(root, split)
    sizes = tuple(file_size(record.path) for record in records)
    fingerprint = data.fingerprint(root, split, records)
    boxes = data.missing(root, split, boxes=True) is None
    return Plan(data, split, preparation, folder, records, sizes, _ends(sizes, shard_bytes), fingerprint, boxes)


def begin(plan: Plan) -> bool:
    """Write the plan, or find the one of a packing that was broken off. False: the split is packed already.

    For the latter all its shards must be there with the manifest's sizes. Their bytes are not read.

    Raises:
        DataError: the folder holds another data set, preparation or state of the split.
    """
    manifest = plan.folder / MANIFEST
    if manifest.is_file():
        content = read_manifest(manifest)
        here = {key: plan.identity()[key] for key in ("data", "preparation")}
        _compare(manifest, {key: content[key] for key in here}, here)
        if (done := content["splits"].get(plan.split)) is not None:
            keys = ("fingerprint", "images")
            _compare(manifest, {key: done[key] for key in keys}, {key: plan.identity()[key] for key in keys})
            if all(_has_size(plan.folder / shard["file"], shard["bytes"]) for shard in done["shards"]):
                return False
            ends = list(accumulate(shard["images"] for shard in done["shards"]))
            _compare(manifest, {"ends": ends}, {"ends": list(plan.ends)})
    path = _path(plan)
    if path.is_file():
        _compare(path, json.loads(path.read_text("utf-8")), plan.identity())
    else:
        atomic.write_json(path, plan.identity())
    return True


def finish(plan: Plan, shards: Sequence[dict[str, Any]], classes: Sequence[str]) -> None:
    """Enter the split into the manifest, and remove the plan."""
    manifest = plan.folder / MANIFEST
    content: dict[str, Any] = read_manifest(manifest) if manifest.is_file() else {**FORMAT, "splits": {}}
    identity = plan.identity()
    content |= {"name": plan.data.name, "classes": list(classes)}
    content |= {key: identity[key] for key in ("data", "preparation")}
    content["splits"][plan.split] = {
        "fingerprint": plan.fingerprint,
        "images": len(plan.records),
        "source_bytes": sum(plan.sizes),
        "bytes": sum(shard["bytes"] for shard in shards),
        "boxes": plan.boxes,
        "with_segments": sum(shard["with_segments"] for shard in shards),
        "shards": list(shards),
    }
    atomic.write_json(manifest, content)
    _path(plan).unlink(missing_ok=True)


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _path(plan: Plan) -> Path:
    return plan.folder / f"{plan.split}.plan.json"


def _ends(sizes: Sequence[int], shard_bytes: int) -> tuple[int, ...]:
    ends, held = [], 0
    for i, size in enumerate(sizes, 1):
        held += size
        if held >= shard_bytes or i == len(sizes):
            ends.append(i)
            held = 0
    return tuple(ends)


def _compare(path: Path, there: dict[str, Any], here: dict[str, Any]) -> None:
    if lines := differences(there, here):
        listed = "\n".join(f"  {line}" for line in lines)
        raise DataError(
            f"{path}: the folder holds another packing (there: the folder; here: what is asked for):\n{listed}\n"
            "Pack into another folder, or remove this one"
        )
