"""How far an evaluation is: a bar on a terminal, a line now and then elsewhere."""

import os
import time
from collections.abc import Iterable, Iterator
from typing import TextIO

_EVERY = 15.0  # seconds between lines


def shown(counts: Iterable[int], total: int, done: int, out: TextIO) -> Iterator[int]:
    """Pass the counts through, showing their sum.

    Args:
        counts: images of each part, as parts end. total: images in all, `done` of them before this call. out: where to
            show it, stderr.
    """
    terminal = out.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
    return _bar(counts, total, done, out) if terminal else _lines(counts, total, done, out)


def _bar(counts: Iterable[int], total: int, done: int, out: TextIO) -> Iterator[int]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("maps"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    began, before = time.monotonic(), done
    with Progress(*columns, TimeRemainingColumn(), console=Console(file=out), transient=True) as bar:
        task = bar.add_task("maps", total=total, completed=done, rate="")
        for count in counts:
            done += count
            bar.update(task, completed=done, rate=_rate(done - before, began))
            yield count


def _lines(counts: Iterable[int], total: int, done: int, out: TextIO) -> Iterator[int]:
    began = last = time.monotonic()
    before = done
    for count in counts:
        done += count
        if time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            out.write(f"{done:,}/{total:,} maps, {_rate(done - before, began)}\n")
            out.flush()
        yield count


def _rate(count: int, began: float) -> str:
    return f"{count / max(time.monotonic() - began, 1e-9):,.0f} maps/s"
