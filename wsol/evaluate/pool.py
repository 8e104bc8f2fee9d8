"""The parts over processes. Each is saved by the process that made it: whatever dies then, finished parts stay."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from wsol.evaluate.work import Task, Work

_work: Work | None = None  # a worker process's own


class WorkerDied(RuntimeError):
    """A worker process ended without an answer: killed, by a user or for want of memory, or crashed."""


def run(work: Work, tasks: Sequence[Task], jobs: int, stop: Callable[[], None]) -> Iterator[int]:
    """Do the tasks; yields the number of images of each one that is done, as they end.

    Args:
        work, tasks: what to do. jobs: processes. stop: called between parts; what it raises ends the work.

    Raises:
        EvalError: from a part; those under way are finished and saved first.
        WorkerDied: a process was killed or crashed.
    """
    if jobs == 1 or len(tasks) < 2:
        for task in tasks:
            stop()
            yield work.do(task)
        return
    # A fork starts at once, with everything imported and compiled; elsewhere than on Linux it is not safe.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    with ProcessPoolExecutor(min(jobs, len(tasks)), context, _begin, (work,)) as pool:
        try:
            yield from _each([pool.submit(_do, task) for task in tasks], stop)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _each(futures: Sequence[Future[int]], stop: Callable[[], None]) -> Iterator[int]:
    try:
        for future in as_completed(futures):
            yield future.result()
            stop()
    except BrokenProcessPool:
        raise WorkerDied(
            "a worker process died (killed, perhaps for want of memory, or crashed); finished parts are kept, and the "
            "same command goes on. Fewer --jobs need less memory"
        ) from None


def _begin(work: Work) -> None:
    """A worker starts. Ctrl-C reaches all processes of a terminal: only the parent answers it."""
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for a task for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def _do(task: Task) -> int:
    assert _work is not None
    return _work.do(task)
