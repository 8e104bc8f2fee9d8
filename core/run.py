"""A cell's folder: config.json first, metrics.jsonl and progress.json on the way, result.json last and atomically.

result.json exists = the cell is done. The same digest again: skipped. Another config in the folder: refused, with the
differences, unless forced. A folder with a config and no result is incomplete: the run goes on from its checkpoint.
While a process is at work in a folder, a lock keeps others out.
"""

import contextlib
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
from core.lock import NAME as LOCK
from core.lock import Lock
from core.watch import Moment, Scalars, bars

CONFIG, RESULT, METRICS, PROGRESS = "config.json", "result.json", "metrics.jsonl", "progress.json"
TENSORBOARD = "tensorboard"  # a folder of its files, where they are asked for
PARTS = "parts"  # a folder of what a stage has finished, for itself to go on from
_log = logging.getLogger(__name__)
_UNDER_WAY = (PROGRESS, "checkpoint.pt", "checkpoint.previous.pt")  # files that a run without result alone needs
_PROGRESS_EVERY = 0.5  # seconds: often enough for a bar, seldom enough to cost nothing


@dataclass
class Run:
    """One cell's folder. `open_run` makes it."""

    folder: Path
    digest: str
    log_every: float = 10.0
    started: float = field(default_factory=time.time)
    lock: Lock | None = None
    """Held from `open_run` to `finish`; None for a run that is done."""
    scalars: Scalars | None = None
    """TensorBoard's files of this run; None where they are not asked for."""
    _seconds_before: float = 0.0
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

    @property
    def seconds(self) -> float:
        """Seconds of work in this folder: this process's, and those of the killed ones before, from progress.json."""
        return self._seconds_before + time.time() - self.started

    @property
    def log_size(self) -> int:
        """Bytes in metrics.jsonl: what a checkpoint keeps, for `keep_log`."""
        path = self.path(METRICS)
        return path.stat().st_size if path.is_file() else 0

    def log(self, **values: Any) -> None:
        """Append one line to metrics.jsonl, and its numbers to TensorBoard's files where these are asked for."""
        with self.path(METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")
        if self.scalars is not None:
            self.scalars.add(values)

    def keep_log(self, size: int) -> None:
        """Cut metrics.jsonl back to its first `size` bytes: what came after is written anew by the run that goes on."""
        path = self.path(METRICS)
        if not path.is_file():
            return
        kept = path.read_bytes()[:size]
        # The log is not synced as the checkpoint is: after a power cut it may be shorter, and end within a line.
        kept = kept[: kept.rfind(b"\n") + 1]
        atomic.write_bytes(path, kept)
        if self.scalars is not None:
            self.scalars.anew(kept.decode().splitlines())

    def progress(self, *, done: int, total: int, unit: str = "images", phase: str = "train", **values: float) -> None:
        """Say how far the run is: to progress.json for whoever watches, and on the screen.

        There it is a bar on a terminal, elsewhere a line every `log_every` seconds.

        Args:
            done: units finished. total: units in all. unit: what is counted. phase: "train", "test", ...
            values: numbers worth showing, as loss; `core.watch.SHARES` are shares in [0, 1].
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
        text = json.dumps({**state, **values, "seconds": self.seconds, "pid": os.getpid(), "time": now})
        # No fsync: a bar that is lost in a power cut is no loss, and this is written twice a second. For the same
        # reason a full disk is left for a checkpoint or the result to find.
        temporary = self.path(PROGRESS + atomic.SUFFIX)
        with contextlib.suppress(OSError):
            temporary.write_text(text)
            temporary.replace(self.path(PROGRESS))
        moment = Moment(phase, done, total, unit, rate, left, values)
        if (terminal := bars()) is not None:
            terminal.show(self._name, moment)
        elif now - self._last_line >= self.log_every or finished:
            self._last_line = now
            _log.info("%s: %s: %s", self._name, phase, moment.text())

    @property
    def _name(self) -> str:
        """What its bar is called where there are several: "quick_cutmix/seed0"."""
        return "/".join(self.folder.parts[-2:])

    def finish(self, result: dict[str, Any]) -> None:
        """Write result.json, last and atomically, then remove what only a run under way needs."""
        if (terminal := bars()) is not None:
            terminal.remove(self._name)
        if self.scalars is not None:
            self.scalars.close()
        atomic.write_json(self.path(RESULT), result)
        _tidy(self.folder)
        if self.lock is not None:
            self.lock.release()


def open_run(
    folder: Path,
    description: dict[str, Any],
    *,
    force: bool = False,
    log_every: float = 10.0,
    tensorboard: bool = False,
) -> Run:
    """The run in `folder`: new, to go on with, or done (`Run.done`).

    Args:
        folder: the cell's folder; made when absent.
        description: what config.json holds: "digest" and everything that went into it.
        force: clear a folder that holds another config, or a result that is to be made again.
        log_every: seconds between progress lines.
        tensorboard: whether what is logged goes to TensorBoard's files too, in the run's folder `tensorboard`.

    Raises:
        UserError: the folder holds a run of another config (the differences are named), is not a run (forced or not),
            or another process is at work in it; TensorBoard is asked for and not installed.
    """
    if not force and (folder / RESULT).is_file():  # only to be read
        _check(folder, description)
        _tidy_after_a_kill(folder)
        return Run(folder, description["digest"], log_every)
    lock = Lock(folder)
    try:
        if force:
            _clear(folder)
        _check(folder, description)
        _sweep(folder)
        if not (folder / CONFIG).is_file():
            atomic.write_json(folder / CONFIG, description)
        scalars = Scalars(folder / TENSORBOARD) if tensorboard else None
    except BaseException:
        lock.release()
        raise
    return Run(folder, description["digest"], log_every, lock=lock, scalars=scalars, _seconds_before=_seconds(folder))


def _check(folder: Path, description: dict[str, Any]) -> None:
    """Refuse a folder that is neither a run of this description nor empty."""
    config = folder / CONFIG
    if not config.is_file():
        if others := _strangers(folder):
            raise UserError(f"{folder} is not a run: expected {CONFIG}, there are {', '.join(others[:5])}")
        return
    try:
        there = json.loads(config.read_text())
        digest = there["digest"]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{config}: expected a run's config in JSON with a digest ({error!r}); where this is a damaged run, "
            "remove its folder to start anew"
        ) from error
    if digest != description["digest"]:
        lines = "\n  ".join(differences(there, description)) or "(a field that is not saved)"
        raise UserError(
            f"{folder} holds a run of another config (there = that run, here = this call):\n  {lines}\n"
            "--force replaces it"
        )


def _clear(folder: Path) -> None:
    """Empty a run's folder; nothing else is ever removed, as a mistyped --run may name any folder.

    The result goes first and the config last: killed in between, this leaves a run without result, not a stranger.
    """
    if _strangers(folder) and not _is_run(folder):
        raise UserError(
            f"{folder}: --force replaces a run and nothing else; expected a {CONFIG} with a digest, there are "
            f"{', '.join(_strangers(folder)[:5])}. Nothing was removed"
        )
    for name in sorted(_names(folder), key=lambda name: (name == CONFIG, name != RESULT, name)):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _is_run(folder: Path) -> bool:
    """Whether config.json is a run's: other programs call a file so too, without a digest in it."""
    try:
        return "digest" in json.loads((folder / CONFIG).read_text())
    except (OSError, ValueError, TypeError):
        return False


def _names(folder: Path) -> list[str]:
    """What is in the folder, but for the lock."""
    return sorted(path.name for path in folder.iterdir() if path.name != LOCK)


def _strangers(folder: Path) -> list[str]:
    """What is in the folder and may not be in one where no run has begun."""
    return [name for name in _names(folder) if not name.endswith((atomic.SUFFIX, ".log"))]


def _half_written(folder: Path) -> list[Path]:
    """What a killed process was writing, which may be as large as a checkpoint."""
    return [path for path in (*folder.glob(f".*{atomic.SUFFIX}"), folder / (PROGRESS + atomic.SUFFIX)) if path.exists()]


def _sweep(folder: Path) -> None:
    for path in _half_written(folder):
        path.unlink(missing_ok=True)


def _tidy(folder: Path) -> None:
    """Remove what a run that has its result needs no more."""
    for name in _UNDER_WAY:
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / PARTS, ignore_errors=True)
    _sweep(folder)


def _tidy_after_a_kill(folder: Path) -> None:
    """Do for a finished run what `Run.finish` did not come to.

    Nothing depends on it, so a folder that is read-only, or that another process is finishing, is left as it is.
    """
    if not _half_written(folder) and not any((folder / name).exists() for name in (*_UNDER_WAY, PARTS, LOCK)):
        return
    with contextlib.suppress(UserError, OSError):
        lock = Lock(folder)
        try:
            if (folder / RESULT).is_file():  # a process with force may have been here before the lock was ours
                _tidy(folder)
        finally:
            lock.release()


def _seconds(folder: Path) -> float:
    """Seconds that processes before this one were at work here, as their progress said."""
    try:
        return float(json.loads((folder / PROGRESS).read_text())["seconds"])
    except (OSError, ValueError, TypeError, KeyError):
        return 0.0
