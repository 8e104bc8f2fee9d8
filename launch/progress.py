"""Shows a launch: bars on a terminal, plain lines elsewhere. A running cell's numbers come from its progress.json."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from core.watch import duration
from launch.plan import PlannedCell
from launch.run import Ended, Fate, Running

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live


@dataclass(frozen=True)
class Snapshot:
    """A cell's progress.json. per_second: units a second; left: seconds left of this phase; top1, data_wait: shares."""

    done: float
    total: float
    unit: str
    phase: str
    per_second: float
    left: float
    loss: float | None = None
    top1: float | None = None
    data_wait: float | None = None

    @classmethod
    def read(cls, folder: Path) -> "Snapshot | None":
        """The progress of the run in `folder`; None where it has not said anything yet."""
        try:
            value = json.loads((folder / "progress.json").read_text())
            shown = {key: value.get(key) for key in ("loss", "top1", "data_wait")}
            return cls(
                done=float(value["done"]),
                total=float(value["total"]),
                unit=str(value.get("unit", "images")),
                phase=str(value.get("phase", "")),
                per_second=float(value.get("per_second") or 0),
                left=float(value.get("left_s") or 0),
                **{key: float(number) for key, number in shown.items() if number is not None},
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def text(self) -> str:
        """One phrase: "train 1,024/5,000 images, loss 2.31, top-1 41.2 %, 412 images/s, data wait 0.3 %, 10 s left"."""
        parts = [f"{self.phase} {self.done:,.0f}/{self.total:,.0f} {self.unit}".strip()]
        parts += [f"loss {self.loss:.3f}"] if self.loss is not None else []
        parts += [f"top-1 {100 * self.top1:.1f} %"] if self.top1 is not None else []
        parts += [f"{self.per_second:,.0f} {self.unit}/s"] if self.per_second else []
        parts += [f"data wait {100 * self.data_wait:.1f} %"] if self.data_wait is not None else []
        parts += [f"{duration(self.left)} left"] if self.per_second else []
        return ", ".join(parts)


@dataclass
class Forecast:
    """Time left of a launch, from the seconds per image that finished cells of the same config took."""

    jobs: int
    _taken: dict[str, list[tuple[float, int]]] = field(default_factory=dict)

    def add(self, ended: Ended) -> None:
        """Learn from a cell that this launch finished."""
        if ended.fate is Fate.DONE:
            self._taken.setdefault(ended.cell.config, []).append((ended.seconds, ended.cell.images or 1))

    def left(
        self, waiting: Sequence[PlannedCell], running: Mapping[str, float], cells: Mapping[str, PlannedCell]
    ) -> float | None:
        """Seconds until all is done; None before the first cell ended.

        Args:
            waiting: cells that are to start. running: seconds that each running cell has taken so far, by key.
            cells: the running cells, by key.
        """
        if not self._taken:
            return None
        begun = [max(self._seconds(cells[key]) - seconds, 1.0) for key, seconds in running.items()]
        total = sum(begun) + sum(self._seconds(cell) for cell in waiting)
        return max(total / self.jobs, max(begun, default=0.0))

    def _seconds(self, cell: PlannedCell) -> float:
        """Seconds that a cell will take: as others of its config did, else as all did, per image."""
        known = self._taken.get(cell.config) or [entry for entries in self._taken.values() for entry in entries]
        return sum(seconds for seconds, _ in known) / max(sum(images for _, images in known), 1) * (cell.images or 1)


@dataclass
class Lines:
    """Plain lines: each start, each end, and what runs, every `heartbeat` seconds."""

    out: TextIO
    runs: Path
    total: int
    heartbeat: float = 30.0
    _settled: int = 0
    _last: float = field(default_factory=time.monotonic)

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *exception: object) -> None:
        self.out.flush()

    def started(self, running: Running) -> None:
        """Say which cell starts."""
        self._say(f"started {running.cell.key}")

    def ended(self, ended: Ended) -> None:
        """Say how a cell ended; cells that were done before are only counted."""
        self._settled += 1
        if ended.fate is not Fate.SKIPPED:
            self._say(end_text(ended))

    def tick(self, running: Sequence[Running]) -> None:
        """Now and then, say what runs."""
        now = time.monotonic()
        if now - self._last < self.heartbeat:
            return
        for cell in running:
            snapshot = Snapshot.read(self.runs / cell.cell.key)
            what = f": {snapshot.text()}" if snapshot else ""
            self._say(f"running {cell.cell.key} for {duration(now - cell.since)}{what}")

    def _say(self, text: str) -> None:
        self._last = time.monotonic()
        self.out.write(f"[{self._settled}/{self.total}] {text}\n")
        self.out.flush()


@dataclass
class Bars:
    """A bar for the table and one for each running cell, redrawn in place; ends and failures stay above them."""

    runs: Path
    cells: Sequence[PlannedCell]
    jobs: int
    _live: "Live | None" = None
    _ended: dict[str, Ended] = field(default_factory=dict)
    _running: tuple[Running, ...] = ()

    def __post_init__(self) -> None:
        """Start the forecast."""
        self._forecast = Forecast(self.jobs)
        self._began = time.monotonic()

    def __enter__(self) -> "Bars":
        from rich.live import Live

        self._live = Live(get_renderable=self.render, refresh_per_second=4, transient=True)
        self._live.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        assert self._live is not None
        self._live.__exit__(*exception)

    def started(self, running: Running) -> None:
        """The bar appears with the next tick."""

    def ended(self, ended: Ended) -> None:
        """Leave a line above the bars."""
        self._ended[ended.cell.key] = ended
        self._forecast.add(ended)
        if ended.fate is not Fate.SKIPPED and self._live is not None:
            self._live.console.print(end_text(ended), markup=False, highlight=False)

    def tick(self, running: Sequence[Running]) -> None:
        """What runs now; drawn by the display's own clock."""
        self._running = tuple(running)

    def render(self) -> "RenderableType":
        """What stands at the bottom of the terminal now."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 1))
        for ratio in (4, None, 5):
            grid.add_column(no_wrap=True, overflow="ellipsis", ratio=ratio)

        def add(name: str, total: float, done: float, text: str) -> None:
            grid.add_row(Text(name), ProgressBar(max(total, 1), done, width=20), Text(text))

        add("cells", len(self.cells), len(self._ended), self._summary())
        for running in self._running:
            snapshot = Snapshot.read(self.runs / running.cell.key)
            if snapshot is None:
                add(running.cell.key, 1, 0, f"running for {duration(time.monotonic() - running.since)}")
            else:
                add(running.cell.key, snapshot.total, snapshot.done, snapshot.text())
        return grid

    def _summary(self) -> str:
        now = time.monotonic()
        busy = {running.cell.key: running.cell for running in self._running}
        waiting = [cell for cell in self.cells if cell.key not in self._ended and cell.key not in busy]
        left = self._forecast.left(waiting, {r.cell.key: now - r.since for r in self._running}, busy)
        tail = f", about {duration(left)} left" if left is not None else ""
        return f"{len(self._ended)}/{len(self.cells)} settled after {duration(now - self._began)}{tail}"


def watcher(cells: Sequence[PlannedCell], runs: Path, jobs: int, out: TextIO) -> "Lines | Bars":
    """Bars where `out` is a terminal that can redraw, else lines."""
    is_terminal = out.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
    return Bars(runs, cells, jobs) if is_terminal else Lines(out, runs, len(cells))


def end_text(ended: Ended) -> str:
    """How a cell ended, in a line: "done pretrain/x/seed0 in 34 s (512 MiB)"."""
    if ended.fate is Fate.BLOCKED:
        return f"blocked {ended.cell.key}: it needs {ended.reason}"
    memory = f" ({ended.max_rss / 2**20:,.0f} MiB)" if ended.max_rss else ""
    took = f" in {duration(ended.seconds)}{memory}" if ended.seconds else ""
    reason = f": {ended.reason.splitlines()[0]}" if ended.reason else ""
    return f"{ended.fate} {ended.cell.key}{took}{reason}"
