"""Watch runs: a bar for each run of this process on a terminal, a line elsewhere, TensorBoard where it is asked for.

Numbers come by name. Those in `SHARES` are shares in [0, 1] and shown in percent; others are shown as they are.
"""

import atexit
import json
import logging
import math
import os
import shutil
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

SHARES = {"top1": "top-1", "data_wait": "data wait"}
"""Name of a share -> what people call it: training images whose own class came first; time spent waiting for data."""
_WIDTH = 14  # of a bar, in characters


@dataclass(frozen=True)
class Moment:
    """How far a run is."""

    phase: str
    """What it does: "train", "validate", "test"."""
    done: int
    """Units finished."""
    total: int
    """Units in all."""
    unit: str
    """What is counted: "images"."""
    per_second: float
    """Units a second since the phase began."""
    left: float
    """Seconds left of this phase."""
    values: Mapping[str, float]
    """Numbers worth showing: loss, top1, data_wait."""

    def text(self) -> str:
        """All but the phase: "64/640 images  9 s left  loss 2.31  top-1 43.1 %  412 images/s  data wait 2.0 %".

        What matters most stands first: a narrow terminal cuts the end off.
        """
        shown = {name: _number(name, value) for name, value in self.values.items()}
        wait = [shown.pop("data_wait")] if "data_wait" in shown else []
        left, rate = [f"{duration(self.left)} left"], [f"{self.per_second:,.0f} {self.unit}/s"]
        if self.per_second <= 0:  # nothing is known at the first word of a phase
            left = rate = []
        return "  ".join([f"{self.done:,}/{self.total:,} {self.unit}", *left, *shown.values(), *rate, *wait])


class Bars:
    """Bars at the bottom of the terminal; what is logged or printed meanwhile appears above them.

    They are redrawn when a run says something, by no thread of their own: a process forked from this one, as a data
    loader's, would inherit the locks that such a thread holds.
    """

    def __init__(self) -> None:
        self._moments: dict[str, Moment] = {}
        self._lock = threading.RLock()
        self._live: Live | None = None
        self._streams: list[logging.StreamHandler[Any]] = []
        self._process = os.getpid()

    def show(self, name: str, moment: Moment) -> None:
        """Draw the bar of a run anew."""
        with self._lock:
            if os.getpid() != self._process:  # a forked one: the terminal is its parent's
                return
            self._moments[name] = moment
            if self._live is None:
                self._start()
            assert self._live is not None
            self._live.refresh()

    def remove(self, name: str) -> None:
        """Take away the bar of a run that is done; with the last one the terminal is as it was."""
        with self._lock:
            self._moments.pop(name, None)
            if not self._moments:
                self.close()

    def close(self) -> None:
        """Take all bars away."""
        with self._lock:
            if self._live is None or os.getpid() != self._process:
                return
            proxy = sys.stdout
            self._live.stop()
            self._live = None
            for handler in self._streams:
                if handler.stream is proxy:
                    handler.setStream(sys.stdout)
            self._streams = []

    def _start(self) -> None:
        from rich.live import Live

        terminal = sys.stdout
        self._live = Live(get_renderable=self.render, auto_refresh=False, transient=True)
        self._live.start()
        atexit.register(self.close)
        # The display sends what is printed through itself, but a handler keeps the stream that it was made with.
        handlers = (handler for handler in logging.getLogger().handlers if isinstance(handler, logging.StreamHandler))
        self._streams = [handler for handler in handlers if handler.stream is terminal]
        for handler in self._streams:
            handler.setStream(sys.stdout)

    def render(self) -> "RenderableType":
        """What stands at the bottom of the terminal now."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(width=_WIDTH)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        for name, moment in self._moments.items():
            label = moment.phase if len(self._moments) == 1 else f"{name} {moment.phase}"
            bar = ProgressBar(max(moment.total, 1), moment.done, width=_WIDTH)
            grid.add_row(Text(label), bar, Text(moment.text()))
        return grid


@lru_cache(maxsize=1)
def _bars() -> Bars:
    """One for the process, as its terminal is one."""
    return Bars()


def bars() -> Bars | None:
    """The bars of this process's terminal; None where standard output is none that can redraw."""
    is_terminal = sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
    return _bars() if is_terminal else None


class Scalars:
    """TensorBoard's files of a run, made from the lines of its metrics.jsonl: the same numbers, the same steps."""

    def __init__(self, folder: Path) -> None:
        """folder: where they go; made with the first number. UserError: TensorBoard is not installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UserError(f"tensorboard: {error}; `make setup` installs it, --no-tensorboard goes without") from error
        self.folder = folder
        self._make = SummaryWriter
        self._writer: SummaryWriter | None = None

    def add(self, line: Mapping[str, Any]) -> None:
        """Add a line's finite numbers, at its step: as "epoch/NAME" where it sums up an epoch, else as "step/NAME"."""
        if "step" not in line:
            return
        if self._writer is None:
            self._writer = self._make(str(self.folder), flush_secs=10)
        group = "epoch" if "epoch" in line else "step"
        for name, value in line.items():
            if name not in ("step", "epoch") and isinstance(value, int | float) and math.isfinite(value):
                self._writer.add_scalar(f"{group}/{name}", value, int(line["step"]))

    def anew(self, lines: Iterable[str]) -> None:
        """Forget what was written and begin with these lines of metrics.jsonl, as a run that goes on does."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        for line in lines:
            self.add(json.loads(line))

    def close(self) -> None:
        """Write what is still in memory."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _number(name: str, value: float) -> str:
    return f"{SHARES[name]} {100 * value:.1f} %" if name in SHARES else f"{name} {value:.4g}"


def duration(seconds: float) -> str:
    """Seconds for people: "8 s", "3 min 20 s", "2 h 5 min", "1 d 3 h"."""
    whole = round(seconds)
    for large, small, names in ((86400, 3600, "d h"), (3600, 60, "h min"), (60, 1, "min s")):
        if whole >= large:
            first, second = names.split()
            return f"{whole // large} {first} {whole % large // small} {second}"
    return f"{whole} s"
