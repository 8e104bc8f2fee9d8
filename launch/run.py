"""Runs the cells of a plan: dependency order, the longest way first, on past a failed cell."""

import shlex
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from launch.plan import PlannedCell
from launch.pool import End, Order, Pool
from launch.state import State, state_of

_TICK = 0.25  # seconds between looks at signals and progress
_TAIL = 12  # lines of a failed cell's log that the summary shows


class Fate(StrEnum):
    """What became of a cell in this launch."""

    SKIPPED = "skipped"
    """It was done before."""
    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"
    """A cell that it needs failed or was blocked."""
    STOPPED = "stopped"
    """The launch was stopped before it was done."""


@dataclass(frozen=True)
class Ended:
    """The fate of a cell, why, and what it took. tail: the last lines of a failed cell's log. max_rss: bytes."""

    cell: PlannedCell
    fate: Fate
    reason: str = ""
    seconds: float = 0.0
    max_rss: int = 0
    log: Path | None = None
    tail: tuple[str, ...] = ()


@dataclass(frozen=True)
class Running:
    """A cell under way: its slot's index and when it started (monotonic seconds)."""

    cell: PlannedCell
    slot: int
    since: float


class Watcher(Protocol):
    """Shows the progress of a launch."""

    def started(self, running: Running) -> None:
        """A cell was started."""

    def ended(self, ended: Ended) -> None:
        """A cell's fate is known."""

    def tick(self, running: Sequence[Running]) -> None:
        """Called several times a second."""


@dataclass
class Launch:
    """One launch of a plan's cells.

    Attributes:
        cells: each after the ones that it needs.
        runs: the folder of runs.
        pool: where cells run.
        watcher: shows progress.
        force: replace runs of other configs.
        stop: asked often; true ends the launch (running cells are stopped, a later launch goes on from there).
        forget: called where a result shows that the plan is out of date: the next launch must not take it again.
    """

    cells: Sequence[PlannedCell]
    runs: Path
    pool: Pool
    watcher: Watcher
    force: bool = False
    stop: Callable[[], bool] = lambda: False
    forget: Callable[[], None] = lambda: None
    fates: dict[str, Ended] = field(default_factory=dict)
    _running: dict[str, Running] = field(default_factory=dict)
    _states: dict[str, State] = field(default_factory=dict)
    _logs: dict[str, int] = field(default_factory=dict)

    def run(self) -> list[Ended]:
        """Run every cell that is not done. Returns the fates in the order of `cells`."""
        self._settle_known()
        weights = priorities(self.cells)
        try:
            while not self.stop():
                self._start_ready(weights)
                if not self._running:
                    break
                for end in self.pool.poll(_TICK):
                    self._settle(self._judge(end))
                    self._settle_blocked()
                self.watcher.tick(list(self._running.values()))
        finally:
            for cell in self.cells:
                if cell.key not in self.fates:
                    reason = "was running" if cell.key in self._running else "was not started"
                    self._settle(Ended(cell, Fate.STOPPED, reason))
        return [self.fates[cell.key] for cell in self.cells]

    def _settle_known(self) -> None:
        """Settle what needs no run: cells that are done, and those that cannot start."""
        for cell in self.cells:
            state = self._states[cell.key] = state_of(cell, self.runs)
            if cell.error is not None:
                self._settle(Ended(cell, Fate.FAILED, cell.error))
            elif state is State.DONE:
                self._settle(Ended(cell, Fate.SKIPPED))
            elif cell.missing:
                lacks = [(use.missing or "").partition("\n")[0] for use in cell.missing]
                self._settle(Ended(cell, Fate.FAILED, " ".join(lacks)))
        self._settle_blocked()

    def _start_ready(self, weights: Mapping[str, float]) -> None:
        waiting = [cell for cell in self.cells if cell.key not in self.fates and cell.key not in self._running]
        good = {key for key, ended in self.fates.items() if ended.fate in (Fate.DONE, Fate.SKIPPED)}
        ready = [cell for cell in waiting if good.issuperset(cell.needs)]
        ready.sort(key=lambda cell: -weights[cell.key])
        for slot, cell in zip(self.pool.free, ready, strict=False):
            running = self._running[cell.key] = Running(cell, slot.index, time.monotonic())
            self.pool.start(slot, self._order(cell))
            self.watcher.started(running)

    def _order(self, cell: PlannedCell) -> Order:
        assert cell.command[0] == "-m"
        argv = list(cell.command[2:])
        if self.force and self._states[cell.key] is State.OTHER:
            argv.append("--force")
        log = log_path(cell, self.runs)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"\n# {time.strftime('%Y-%m-%d %H:%M:%S')}  {shlex.join(['python', '-m', cell.stage, *argv])}\n")
            self._logs[cell.key] = file.tell()
        return Order(cell.key, f"{cell.stage}.__main__", tuple(argv), log.absolute())

    def _judge(self, end: End) -> Ended:
        """A cell's end as a fate: success is only what left the result that the plan expects."""
        cell = self._running.pop(end.key).cell
        log = log_path(cell, self.runs)
        reason = end.reason
        if not reason and not (self.runs / cell.key / "result.json").is_file():
            reason = "exit code 0, but there is no result.json"
        elif not reason and cell.digest is not None and state_of(cell, self.runs) is not State.DONE:
            self.forget()
            reason = (
                "its result has another digest than the plan: code, config or data changed since the plan was made; "
                "the plan is removed, the same command makes it anew"
            )
        if reason:
            tail = tail_of(log, self._logs[cell.key])
            return Ended(cell, Fate.FAILED, reason, end.seconds, end.max_rss, log, tail)
        return Ended(cell, Fate.DONE, "", end.seconds, end.max_rss, log)

    def _settle(self, ended: Ended) -> None:
        self.fates[ended.cell.key] = ended
        self.watcher.ended(ended)

    def _settle_blocked(self) -> None:
        """Settle the cells that need one that failed or is blocked itself."""
        for cell in self.cells:  # in dependency order, so that blocks travel down the chain
            befores = [self.fates[key] for key in cell.needs if key in self.fates]
            bad = next((b for b in befores if b.fate in (Fate.FAILED, Fate.BLOCKED)), None)
            if bad is not None and cell.key not in self.fates:
                self._settle(Ended(cell, Fate.BLOCKED, bad.reason if bad.fate is Fate.BLOCKED else bad.cell.key))


def log_path(cell: PlannedCell, runs: Path) -> Path:
    """Where a cell's output goes: beside its folder, so that --force, which clears the folder, leaves it."""
    folder = runs / cell.key
    return folder.with_name(folder.name + ".log")


def tail_of(log: Path, start: int) -> tuple[str, ...]:
    """The last lines of a log, from byte `start` on; empty lines left out."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(start, file.tell() - 65536))
            text = file.read().decode(errors="replace")
    except OSError:
        return ()
    return tuple(line.rstrip() for line in text.splitlines() if line.strip())[-_TAIL:]


def priorities(cells: Iterable[PlannedCell]) -> dict[str, float]:
    """For each cell the images on the longest way from it to an end of the graph, its own included.

    Starting the longest way first keeps a long chain from being left to the end, alone on one slot.
    """
    cells = list(cells)
    followers: dict[str, list[str]] = {}
    for cell in cells:
        for key in cell.needs:
            followers.setdefault(key, []).append(cell.key)
    found: dict[str, float] = {}
    for cell in reversed(cells):  # followers come later in `cells`
        found[cell.key] = (
            1.0 + (cell.images or 0) + max((found[key] for key in followers.get(cell.key, ())), default=0.0)
        )
    return found
