"""A process that has imported torch and forks a child for each cell: `python -m launch.worker`, run by launch/pool.py.

Orders come as JSON lines on stdin: {"key", "module", "argv", "log", "threads"}. The child appends its output to `log`
and calls `module`'s `main(argv)`. Events go as JSON lines to the worker's first stdout:
{"event": "ready", "seconds"}, {"event": "started", "key", "pid"},
{"event": "ended", "key", "returncode", "signal", "seconds", "max_rss"} (bytes).
A crash, a kill or no memory costs the child alone. The end of stdin, SIGTERM, or the death of the launcher stop the
running child (SIGTERM; after `--grace` seconds SIGKILL, to what it started too) and then the worker. CUDA is never
touched here: what a process did with CUDA, its forks cannot use.
"""

import argparse
import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

# What the stages import anyway: seconds and hundreds of megabytes, once instead of in every child.
PRELOAD = ("torch", "torchvision", "timm", "lightning_fabric", "safetensors.torch", "tyro", "cv2", "numba")
_PR_SET_PDEATHSIG = 1
_POLL = 0.05  # seconds between looks at the child


def main(argv: Sequence[str] | None = None) -> int:
    """Import what is asked for, then run cells until stdin ends."""
    parser = argparse.ArgumentParser(prog="python -m launch.worker", description=__doc__)
    parser.add_argument("--preload", default=",".join(PRELOAD), help="modules to import once, separated by commas")
    parser.add_argument("--grace", type=float, default=10.0, help="seconds between SIGTERM and SIGKILL of a child")
    parser.add_argument("--parent", type=int, default=None, help="pid of the launcher: its death stops the worker")
    args = parser.parse_args(argv)
    die_with_parent(signal.SIGTERM, args.parent)
    worker = Worker(events=_private_stdout(), grace=args.grace)
    signal.signal(signal.SIGTERM, worker.on_signal)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started = time.monotonic()
    for name in filter(None, args.preload.split(",")):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the children's collector leaves these objects alone: their pages stay shared
    worker.say(event="ready", seconds=round(time.monotonic() - started, 2))
    return worker.serve()


@dataclass
class Worker:
    """Reads orders, forks children, reports their ends. One child at a time."""

    events: int
    grace: float
    _buffer: bytes = b""
    _eof: bool = False
    _stop: bool = False
    _orders: list[dict[str, Any]] = field(default_factory=list)

    def serve(self) -> int:
        """Run cells until stdin ends or a signal says stop."""
        while True:
            while not self._orders and not self._finished():
                self._read(timeout=1.0)
            if self._finished():
                return 0
            self._run(self._orders.pop(0))

    def say(self, **event: Any) -> None:
        """Report an event; a launcher that is gone is no error: stdin's end will be seen next."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self.events, json.dumps(event).encode() + b"\n")

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """SIGTERM: stop the child, then this process."""
        self._stop = True

    def _finished(self) -> bool:
        return self._stop or self._eof

    def _read(self, timeout: float) -> None:
        ready, _, _ = select.select([0], [], [], timeout)
        if not ready:
            return
        block = os.read(0, 65536)
        self._eof = not block
        *lines, self._buffer = (self._buffer + block).split(b"\n")
        self._orders.extend(json.loads(line) for line in lines if line)

    def _run(self, order: dict[str, Any]) -> None:
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            child(order, self.events)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)  # also in the child: whoever comes first
        self.say(event="started", key=order["key"], pid=pid)
        status, max_rss = self._wait(pid)
        killed = os.WIFSIGNALED(status)
        self.say(
            event="ended",
            key=order["key"],
            returncode=None if killed else os.WEXITSTATUS(status),
            signal=os.WTERMSIG(status) if killed else None,
            seconds=round(time.monotonic() - started, 2),
            max_rss=max_rss,
        )

    def _wait(self, pid: int) -> tuple[int, int]:
        """The child's wait status and peak memory in bytes; stops it when the worker is to stop."""
        deadline: float | None = None
        while True:
            done, status, usage = os.wait4(pid, os.WNOHANG)
            if done:
                _kill_group(pid)  # what the child left behind
                return status, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            if self._finished() and deadline is None:
                deadline = time.monotonic() + self.grace
                # To the cell's own process alone, which saves a checkpoint; its data loaders have to live for that.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            if deadline is not None and time.monotonic() > deadline:
                _kill_group(pid)
            if self._eof:
                time.sleep(_POLL)
            else:
                self._read(timeout=_POLL)


def child(order: dict[str, Any], events: int) -> NoReturn:
    """What a fork does: its own process group, its log as output, the stage's `main`. Never returns."""
    code = 1
    try:
        _become_child(order, events)
        main_of = _entry(order["module"])
        code = main_of(list(order["argv"])) or 0
    except SystemExit as stop:
        code = _exit_code(stop)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            _shut_down()
        os._exit(code)


def _become_child(order: dict[str, Any], events: int) -> None:
    parent = os.getppid()
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    die_with_parent(signal.SIGKILL, parent)
    os.close(events)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.close(nothing)
    # Without memory, the kernel is to take this process: not the worker, not the launcher.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(order["threads"])
    sys.argv = [order["module"], *order["argv"]]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a killed cell's last lines are what one wants to read


def _entry(module: str) -> Callable[[list[str]], int | None]:
    entry: Callable[[list[str]], int | None] = importlib.import_module(module).main
    return entry


def _exit_code(stop: SystemExit) -> int:
    """What the interpreter makes of SystemExit: None is 0, an int itself, anything else is printed and 1."""
    if stop.code is None or isinstance(stop.code, int):
        return stop.code or 0
    sys.stderr.write(f"{stop.code}\n")
    return 1


def _shut_down() -> None:
    """Do by hand what os._exit leaves out: atexit handlers (helpers that a stage started) and the buffers."""
    import atexit

    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()


def die_with_parent(number: int, parent: int | None) -> None:
    """Ask Linux to send this process signal `number` when its parent dies; elsewhere the end of stdin has to do.

    Args:
        number: the signal. parent: the pid of the parent; one that is gone already has the same effect at once.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), number)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _private_stdout() -> int:
    """The first stdout, for events alone: what an import prints goes to stderr."""
    events = os.dup(1)
    os.dup2(2, 1)
    return events


if __name__ == "__main__":
    sys.exit(main())
