"""The workers, one per slot: started when first needed, given cells, listened to, replaced when they die.

Nothing here knows what a cell is beyond a key, a module with `main(argv)`, and a log file.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from launch.machine import Slot
from launch.plan import environment
from launch.worker import PRELOAD

_SPARE = 3.0  # seconds that a worker gets beyond its own grace before it is killed


@dataclass(frozen=True)
class Order:
    """A call of `module`'s `main(argv)`, with its output appended to `log`."""

    key: str
    module: str
    argv: tuple[str, ...]
    log: Path


@dataclass(frozen=True)
class End:
    """How an order ended. returncode: None when a signal ended it, or its worker died.

    Attributes:
        key: the order's.
        seconds: wall-clock time. max_rss: peak memory in bytes; 0 when unknown.
        reason: in words, for anything but return code 0; else "".
    """

    key: str
    returncode: int | None
    seconds: float
    max_rss: int
    reason: str


class PoolError(RuntimeError):
    """A worker cannot even import what it is to preload: no cell can run."""


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    ready: bool = False
    key: str | None = None
    child: int | None = None
    since: float = 0.0
    buffer: bytes = b""
    waiting: list[Order] = field(default_factory=list)


class Pool:
    """Workers for `slots`. A context manager: leaving it stops every worker and every child."""

    def __init__(self, slots: Sequence[Slot], *, preload: Sequence[str] = PRELOAD, grace: float = 10.0) -> None:
        self.slots = tuple(slots)
        self._preload, self._grace = preload, grace
        self._workers: dict[int, _Worker] = {}
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def free(self) -> list[Slot]:
        """The slots where nothing runs."""
        return [slot for slot in self.slots if self._busy(slot.index) is None]

    def start(self, slot: Slot, order: Order) -> None:
        """Run an order on a free slot."""
        worker = self._workers.get(slot.index)
        if worker is None:
            worker = self._workers[slot.index] = self._spawn(slot)
        worker.key, worker.child, worker.since = order.key, None, time.monotonic()
        line = {"key": order.key, "module": order.module, "argv": order.argv, "log": str(order.log)}
        assert worker.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its death is reported by poll
            worker.process.stdin.write(json.dumps({**line, "threads": slot.threads}).encode() + b"\n")
            worker.process.stdin.flush()

    def poll(self, timeout: float) -> list[End]:
        """What ended, waiting at most `timeout` seconds for it.

        Raises:
            PoolError: a worker died while it imported what it is to preload.
        """
        ends = []
        for event, _ in self._selector.select(timeout):
            index = event.data
            worker = self._workers[index]
            block = os.read(event.fd, 65536)
            if not block:
                ends += self._bury(index)
                continue
            *lines, worker.buffer = (worker.buffer + block).split(b"\n")
            ends += [end for line in lines for end in _heard(worker, json.loads(line))]
        return ends

    def close(self, grace: float | None = None, hurry: Callable[[], bool] = lambda: False) -> None:
        """Stop every worker and its child: SIGTERM, then SIGKILL after `grace` seconds or once `hurry()` is true."""
        for worker in self._workers.values():
            assert worker.process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                worker.process.stdin.close()
        deadline = time.monotonic() + (self._grace if grace is None else grace) + _SPARE
        alive = list(self._workers.values())
        while alive and time.monotonic() < deadline and not hurry():
            time.sleep(0.02)
            alive = [worker for worker in alive if worker.process.poll() is None]
        for worker in alive:
            _kill_group(worker.child)
            worker.process.kill()
            worker.process.wait()
        for worker in self._workers.values():
            _release(worker)
        self._workers.clear()
        self._selector.close()
        self._selector = selectors.DefaultSelector()

    def _busy(self, index: int) -> str | None:
        worker = self._workers.get(index)
        return None if worker is None else worker.key

    def _spawn(self, slot: Slot) -> _Worker:
        words = ["--preload", ",".join(self._preload), "--grace", str(self._grace), "--parent", str(os.getpid())]
        errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by _release)
        process = subprocess.Popen(
            [sys.executable, "-m", "launch.worker", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**environment(), **slot.environment()},
            start_new_session=True,  # a Ctrl-C reaches the launcher alone, which stops the children in order
        )
        assert process.stdout is not None
        self._selector.register(process.stdout, selectors.EVENT_READ, slot.index)
        return _Worker(process, errors)

    def _bury(self, index: int) -> list[End]:
        worker = self._workers.pop(index)
        assert worker.process.stdout is not None
        self._selector.unregister(worker.process.stdout)
        _kill_group(worker.child)
        code = worker.process.wait()
        worker.errors.seek(0)
        said = worker.errors.read().decode(errors="replace").strip()
        _release(worker)
        if not worker.ready:
            raise PoolError(f"a worker died while it imported {', '.join(self._preload)} ({_ending(code)}):\n{said}")
        if worker.key is None:
            return []
        reason = f"its worker died ({_ending(code)})" + (f": {said.splitlines()[-1]}" if said else "")
        return [End(worker.key, None, time.monotonic() - worker.since, 0, reason)]


def _heard(worker: _Worker, event: dict[str, Any]) -> list[End]:
    if event["event"] == "ready":
        worker.ready = True
    elif event["event"] == "started":
        worker.child, worker.since = event["pid"], time.monotonic()
    else:
        worker.key = worker.child = None
        code, number = event["returncode"], event["signal"]
        reason = _ending(-number if number else code)
        return [End(event["key"], code, event["seconds"], event["max_rss"], reason if number or code else "")]
    return []


def _ending(code: int) -> str:
    """A return code in words, as subprocess has it: negative for a signal."""
    if code >= 0:
        return f"exit code {code}"
    hint = ", out of memory?" if -code == signal.SIGKILL else ""
    return f"killed by {signal.Signals(-code).name}{hint}"


def _kill_group(pid: int | None) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def _release(worker: _Worker) -> None:
    worker.errors.close()
    for pipe in (worker.process.stdin, worker.process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
