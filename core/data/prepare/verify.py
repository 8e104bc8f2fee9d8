"""Check packed images: every checksum, every image's decode, and the pixels where the originals are at hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.data.images import open_picture, read_rgb
from core.data.packed import MANIFEST, Packed, read_manifest
from core.data.records import DataError, ImageRecord
from core.data.shard import REMEDY, Shard


def verify(packed: Packed, root: Path, split: str, say: Callable[[int, int], None]) -> bool:
    """Check a split. Whether its pixels were compared with the originals', which are read where they are below `root`.

    Pixels of images that were made smaller are not compared: they are not equal.

    Args:
        packed: the packed set. root: the data root of the originals. split: the split.
        say: told (images done, images) after each image.

    Raises:
        DataError: a checksum is wrong, an image is broken or differs from its original; the message names it.
    """
    records = packed.records(root, split)
    for line in read_manifest(packed.folder / MANIFEST)["splits"][split]["shards"]:
        shard = Shard(packed.folder / line["file"])
        if not shard.checksum() == shard.footer()[3] == line["crc32"]:
            raise DataError(f"{shard.path}: its checksum is wrong: it is damaged, or of another packing. {REMEDY}")
    lossless = packed.preparation is None and packed.of.missing(root, split) is None
    originals = packed.of.records(root, split) if lossless else None
    if originals is not None and [_known(r) for r in originals] != [_known(r) for r in records]:
        raise DataError(f"{packed.folder}, split {split!r}: ids, labels or boxes are not those below {root}")
    for i, record in enumerate(records):
        pixels = open_picture(record.path).whole()
        if originals is not None and not np.array_equal(pixels, np.asarray(read_rgb(originals[i].path))):
            raise DataError(f"{record.path}: its pixels are not those of {originals[i].path}")
        say(i + 1, len(records))
    return originals is not None


def _known(record: ImageRecord) -> ImageRecord:
    return replace(record, path=Path())
