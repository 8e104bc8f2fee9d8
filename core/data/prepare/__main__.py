"""`python -m core.data.prepare CONFIG --out FOLDER`: pack the images of a config's data set into shards, once.

The default keeps all pixels: baseline JPEGs get restart markers, other files are kept as they are. --short-side makes
the images smaller instead. The same command goes on after a kill; --verify checks what is there.
"""

import argparse
import importlib
import logging
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.config import find, load
from core.data.images import file_bytes
from core.data.packed import Packed, Preparation, read_manifest
from core.data.prepare import packing
from core.data.prepare import plan as plans
from core.data.prepare.encoding import keep
from core.data.prepare.plan import Plan
from core.data.prepare.verify import verify
from core.data.records import DataSet, ImageRecord
from core.errors import UserError
from core.interrupt import exit_code
from core.lock import Lock

_log = logging.getLogger(__name__)
_SAMPLES = 24  # images that the estimate is made of
_SAY_EVERY = 5.0  # seconds


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; exit code 2 with a message where something is wrong that a user can mend."""
    args = _parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)
    return exit_code(lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    if min(args.jobs, args.shard_mib) < 1:
        raise UserError(f"--jobs and --shard-mib must be 1 or more, got {args.jobs} and {args.shard_mib}")
    data, root = _data(args.data, args.data_root)
    splits = args.splits.split(",") if args.splits else list(data.official)
    preparation = _preparation(args.short_side, args.quality)
    if args.verify:
        packed = Packed(data, args.out, preparation)
        for split in splits:
            _verify(packed, root, split)
        return
    lock = Lock(args.out)
    try:
        for split in splits:
            _pack(plans.make(data, root, split, preparation, args.out, args.shard_mib << 20), root, args.jobs)
    finally:
        lock.release()
    _log.info("To train on it: --packed %s%s", args.out, _fields(preparation))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m core.data.prepare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", help="a config whose field `data` is the data set, or MODULE:CLASS of one")
    parser.add_argument("--out", type=Path, required=True, help="folder of the shards")
    parser.add_argument("--data-root", type=Path, help="folder of the data sets (default: the config's)")
    parser.add_argument("--splits", help="comma-separated (default: all of the set)")
    parser.add_argument("--short-side", type=int, help="shorter side of larger images, in pixels; changes the pixels")
    parser.add_argument("--quality", type=int, help="JPEG quality with --short-side (default: 90)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: %(default)s)")
    parser.add_argument("--shard-mib", type=int, default=plans.SHARD_BYTES >> 20, help="size of a shard (%(default)s)")
    parser.add_argument("--verify", action="store_true", help="check the shards that are there")
    return parser


def _data(name: str, root: Path | None) -> tuple[DataSet[ImageRecord], Path]:
    """The data set that a config reads, or a class of this repository, and the data root."""
    module, colon, attribute = name.partition(":")
    data: Any
    if colon:
        try:
            data = getattr(importlib.import_module(module), attribute)()
        except (ImportError, AttributeError, TypeError) as error:
            raise UserError(f"{name}: expected MODULE:CLASS of a data set ({error})") from error
    else:
        config = load(name)
        data = getattr(config, "data", None)
        if root is None and isinstance(config_root := getattr(config, "root", None), Path):
            config.prepare()
            root = config_root
    if not isinstance(data, DataSet):
        where = name if colon else find(name)
        raise UserError(f"{where}: expected a config with a data set in its field `data`, or MODULE:CLASS of one")
    return data, root if root is not None else Path("data")


def _preparation(short_side: int | None, quality: int | None) -> Preparation | None:
    if short_side is None:
        if quality is not None:
            raise UserError("--quality goes with --short-side: without it, no pixel is changed")
        return None
    return Preparation(short_side) if quality is None else Preparation(short_side, quality)


def _fields(preparation: Preparation | None) -> str:
    if preparation is None:
        return ""
    return f", and in its config preparation=Preparation({preparation.short_side}, {preparation.quality})"


def _pack(plan: Plan, root: Path, jobs: int) -> None:
    classes = plan.data.classes(root)
    if not plans.begin(plan):
        _log.info(
            "%s: packed already in %s, all shards of the right size (--verify reads them)", plan.split, plan.folder
        )
        return
    _estimate(plan, jobs)
    progress = _Progress(plan.split, len(plan.records))
    packing.run(plan, jobs, progress.done)
    shards = packing.shards(plan)
    plans.finish(plan, shards, classes)
    split = read_manifest(plan.folder / "manifest.json")["splits"][plan.split]
    count, cut = split["images"], split["with_segments"]
    _log.info("%s: %d images, %s, %d shards", plan.split, count, _bytes(split["bytes"]), len(shards))
    if cut < count:
        _log.info(
            "%d of %d images are no baseline JPEGs, or broken ones, and are kept as they are: they are decoded whole, "
            "at about half the speed",
            count - cut,
            count,
        )


def _estimate(plan: Plan, jobs: int) -> None:
    """Say how big and how long, from a few images all over the split. UserError: the disk has no room."""
    step = max(1, len(plan.records) // _SAMPLES)
    before = after = 0
    seconds = 0.0
    for i, record in list(enumerate(plan.records))[::step]:
        data, where = file_bytes(record.path), str(record.path)
        if i == 0:
            keep(data, where, plan.preparation)  # the first one waits for a compiler
        start = time.perf_counter()
        kept = keep(data, where, plan.preparation)
        seconds += time.perf_counter() - start
        before, after = before + len(data), after + len(kept.image) + len(kept.lengths)
    missing = [number for number in range(len(plan.ends)) if not packing.is_whole(plan, number)]
    left = [i for number in missing for i in plan.range(number)]
    at_work = max(1, min(jobs, len(missing)))
    total = sum(plan.sizes[i] for i in left)
    size, duration = total / max(1, before) * after, total / max(1, before) * seconds
    _log.info(
        "%s: %d of %d images to pack, %s; about %s, and %s (processes: %d)",
        plan.split, len(left), len(plan.records), _bytes(total), _bytes(size), _time(duration / at_work), at_work,
    )  # fmt: skip
    free = shutil.disk_usage(plan.folder).free
    if size > free:
        raise UserError(f"{plan.folder}: about {_bytes(size)} are to be written, {_bytes(free)} are free")


class _Progress:
    """Tells how far a packing is."""

    def __init__(self, split: str, images: int) -> None:
        self.split, self.images, self.count, self.began = split, images, 0, time.monotonic()
        self.said = self.began

    def done(self, images: int, nbytes: int) -> None:
        """Count a shard; say so now and then."""
        self.count += images
        now = time.monotonic()
        if now - self.said >= _SAY_EVERY:
            self.said = now
            rate = self.count / (now - self.began)
            left = max(0.0, (self.images - self.count) / rate)
            _log.info("%s: %d images, %.0f images/s, at most %s left", self.split, self.count, rate, _time(left))


def _verify(packed: Packed, root: Path, split: str) -> None:
    progress = _Progress(split, len(packed.records(root, split)))
    compared = verify(packed, root, split, lambda done, _: progress.done(done - progress.count, 0))
    what = "pixels equal to the originals'" if compared else "pixels not compared with originals"
    _log.info("%s: %d images, all checksums right, %s", split, progress.images, what)


def _bytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


if __name__ == "__main__":
    sys.exit(main())
