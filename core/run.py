"""A cell's folder: config.json first, metrics.jsonl and progress.json on the way, result.json last and atomically.

result.json exists = the cell is done. The same digest again: skipped. Another config in the folder: refused, with the
differences, unless forced. A folder with a config and no result is incomplete: the run goes on from its checkpoint.
"""

import json
import logging
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import atomic
from core.config import differences
from core.errors import UserError

CONFIG, RESULT, METRICS, PROGRESS = "config.json", "result.json", "metrics.jsonl", "progress.json"
_log = logging.getLogger(__name__)
_PROGRESS_EVERY = 0.5  # seconds: often enough for a bar, seldom enough to cost nothing


@dataclass
class Run:
    """One cell's folder. `open_run` makes it."""

    folder: Path
    digest: str
    log_every: float = 10.0
    started: float = field(default_factory=time.time)
    _last: float = 0.0
    _last_line: float = 0.0
    _phase: str = ""
    _phase_started: tuple[float, int] = (0.0, 0)

    def path(self, name: str) -> Path:
        """A file of this run."""
        return self.folder / name

    @property
    def done(self) -> bool:
        """Whether this run has its result."""
        return self.path(RESULT).is_file()

    def log(self, **values: Any) -> None:
        """Append one line to metrics.jsonl."""
        with self.path(METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")

    def keep_log(self, step: int) -> None:
        """Cut metrics.jsonl back to the lines up to a step: what came after is written anew by the run that goes on."""
        path = self.path(METRICS)
        if not path.is_file():
            return
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line)
            except (ValueError, KeyError, TypeError):
                break  # a line half written by the run that was killed: the last one
        atomic.write_text(path, "".join(line + "\n" for line in kept))

    def progress(self, *, done: int, total: int, unit: str = "images", phase: str = "train", **values: float) -> None:
        """Say how far the run is: to progress.json for whoever watches, and as a line every `log_every` seconds.

        Args:
            done: units finished. total: units in all. unit: what is counted. phase: "train", "test", ...
            values: numbers worth showing, as loss.
        """
        now = time.time()
        if phase != self._phase:
            self._phase, self._phase_started, self._last = phase, (now, done), 0.0
        finished = done >= total
        if now - self._last < _PROGRESS_EVERY and not finished:
            return
        self._last = now
        since, first = self._phase_started
        rate = (done - first) / max(now - since, 1e-9)
        left = (total - done) / rate if rate > 0 else 0.0
        state = {"done": done, "total": total, "unit": unit, "per_second": rate, "left_s": left, "phase": phase}
        text = json.dumps({**state, **values, "pid": os.getpid(), "time": now})
        # No fsync: a bar that is lost in a power cut is no loss, and this is written twice a second.
        temporary = self.path(PROGRESS + atomic.SUFFIX)
        temporary.write_text(text)
        temporary.replace(self.path(PROGRESS))
        if now - self._last_line >= self.log_every or finished:
            self._last_line = now
            numbers = "".join(f"  {name} {value:.4g}" for name, value in values.items())
            _log.info(
                "%s: %s/%s %s%s  %.0f %s/s  %.0f s left",
                phase,
                f"{done:,}",
                f"{total:,}",
                unit,
                numbers,
                rate,
                unit,
                left,
            )

    def finish(self, result: dict[str, Any]) -> None:
        """Write result.json, last and atomically, then remove what only a run under way needs."""
        atomic.write_json(self.path(RESULT), result)
        for name in (PROGRESS, "checkpoint.pt", "checkpoint.previous.pt"):
            self.path(name).unlink(missing_ok=True)


def open_run(folder: Path, description: dict[str, Any], *, force: bool = False, log_every: float = 10.0) -> Run:
    """The run in `folder`: new, to go on with, or done (`Run.done`).

    Args:
        folder: the cell's folder; made when absent.
        description: what config.json holds: "digest" and everything that went into it.
        force: clear a folder that holds another config, or a result that is to be made again.

    Raises:
        UserError: the folder holds a run of another config (the differences are named), or is not a run.
    """
    if force and folder.exists():
        shutil.rmtree(folder)
    config = folder / CONFIG
    if config.is_file():
        try:
            there = json.loads(config.read_text())
            digest = there["digest"]
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{config}: expected a run's config in JSON with a digest ({error}); --force starts it anew"
            ) from error
        if digest != description["digest"]:
            lines = "\n  ".join(differences(there, description)) or "(a field that is not saved)"
            raise UserError(
                f"{folder} holds a run of another config (there = that run, here = this call):\n  {lines}\n"
                "--force replaces it"
            )
    else:
        others = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        if any(not name.endswith((atomic.SUFFIX, ".log")) for name in others):
            raise UserError(f"{folder} is not a run: expected {CONFIG}, there are {', '.join(sorted(others)[:5])}")
        atomic.write_json(config, description)
    return Run(folder, description["digest"], log_every)
