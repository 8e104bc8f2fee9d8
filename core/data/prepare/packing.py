"""Write a plan's shards, by several processes; those that are there, whole, are left alone.

A shard takes its name when it is whole, so that a kill at any moment costs the shards under way, no more.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from core import atomic
from core.data.images import file_bytes, image_size
from core.data.packed import Preparation
from core.data.pictures import Source
from core.data.prepare.encoding import keep
from core.data.prepare.plan import Plan
from core.data.records import Box, DataError
from core.data.shard import Entry, Shard, ShardWriter

_log = logging.getLogger(__name__)


class Work(NamedTuple):
    """One shard to be written: all that another process needs."""

    path: Path
    preparation: Preparation | None
    images: tuple[tuple[str, int, Source, int, tuple[Box, ...], tuple[int, int] | None], ...]
    """Id, label, source, bytes, boxes and their size."""


def work_of(plan: Plan, number: int) -> Work:
    """What is to be done for a shard."""
    images = tuple(
        (r.id, r.label, r.path, plan.sizes[i], r.boxes, r.size)
        for i, r in ((i, plan.records[i]) for i in plan.range(number))
    )
    return Work(plan.shard(number), plan.preparation, images)


def write(work: Work) -> None:
    """Write a shard, whole or not at all.

    Raises:
        DataError: an image cannot be read. OSError: the disk is full.
    """
    with atomic.replacing(work.path) as temporary, temporary.open("xb", buffering=1 << 20) as file:
        writer = ShardWriter(file)
        for name, label, source, nbytes, boxes, size in work.images:
            kept = keep(file_bytes(source), str(source), work.preparation)
            if boxes and size is None and work.preparation is not None:  # the boxes are in the original's pixels
                size = image_size(source)
            writer.add(Entry(name, label, kept.image, kept.lengths, nbytes, boxes, size))
        writer.finish()


def run(plan: Plan, jobs: int, done: Callable[[int, int], None]) -> None:
    """Write the shards that are missing, cut short, or of other images.

    Args:
        plan: the plan. jobs: processes.
        done: told (images, bytes of their files) of each shard when it is written.

    Raises:
        DataError: an image cannot be read, or a process was killed. OSError: the disk is full.
    """
    for leftover in plan.folder.glob(f".{plan.split}-*{atomic.SUFFIX}"):
        leftover.unlink(missing_ok=True)
    missing = [number for number in range(len(plan.ends)) if not is_whole(plan, number)]
    for number in missing:
        if plan.shard(number).exists():
            _log.warning("%s: damaged, or not of the images that are planned: it is made anew", plan.shard(number))
    for number in _written(plan, missing, jobs):
        images = plan.range(number)
        done(len(images), sum(plan.sizes[images.start : images.stop]))


def _written(plan: Plan, missing: list[int], jobs: int) -> Iterator[int]:
    """Write these shards; yield each that is written."""
    if min(jobs, len(missing)) <= 1:
        for number in missing:
            write(work_of(plan, number))
            yield number
        return
    pool = ProcessPoolExecutor(min(jobs, len(missing)), get_context("spawn"), _end_with, (os.getpid(),))
    try:
        waiting: dict[Future[None], int] = {}
        left = list(reversed(missing))
        while left or waiting:
            while left and len(waiting) < jobs + 1:  # no more: the works of a big set would fill the memory
                number = left.pop()
                waiting[pool.submit(write, work_of(plan, number))] = number
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                future.result()
                yield waiting.pop(future)
    except BrokenProcessPool as error:
        raise DataError(
            f"{plan.folder}: a packing process was killed, perhaps for lack of memory; the same command goes on, with "
            "fewer --jobs if need be"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with(parent: int) -> None:
    """Let this process end at Ctrl-C, without a word, and when its parent has: one that is killed cannot tell it to."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def is_whole(plan: Plan, number: int) -> bool:
    """Whether a shard is there, whole, with the images that are planned."""
    path = plan.shard(number)
    if not path.is_file():
        return False
    try:
        ids = Shard(path).index()["ids"]
    except DataError:  # cut short, or damaged where its index is
        return False
    return bool(ids == [plan.records[i].id for i in plan.range(number)])


def shards(plan: Plan) -> list[dict[str, Any]]:
    """The manifest's lines on the shards. DataError: one is damaged."""
    lines = []
    for number in range(len(plan.ends)):
        shard = Shard(plan.shard(number))
        index = shard.index()
        lines.append(
            {
                "file": shard.path.name,
                "images": len(index["ids"]),
                "with_segments": sum(map(bool, index["segments"])),
                "bytes": shard.path.stat().st_size,
                "crc32": shard.footer()[3],
            }
        )
    return lines
