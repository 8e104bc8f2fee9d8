"""Error over epochs, a line for each row: the test-error plot of the CutMix repository, with training's beside it.

A run's numbers are the lines of its metrics.jsonl that name an epoch: `top1_error` of validation, `train_top1_error` of
training, in percent. Seeds of one row become their mean and a band from the lowest to the highest of them. A method
that mixes images is trained on mixed ones, and its training error is against the images' own labels: it is high, which
is no sign of harm.
"""

import contextlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from eval.errors import EvalError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METRICS = "metrics.jsonl"
_SEED = re.compile(r"seed\d+")


@dataclass(frozen=True)
class Curve:
    """One number over epochs, of the runs of a row. All have an entry per epoch that every run has."""

    epochs: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    """The lowest of the runs."""
    high: tuple[float, ...]
    """The highest of the runs."""


@dataclass(frozen=True)
class RowCurves:
    """A row's error of validation and of training; one of them may be None: the logs have none of it, or not yet."""

    name: str
    runs: int
    val: Curve | None
    train: Curve | None

    def text(self) -> str:
        """One line: the last and the lowest mean of validation, in percent, and at which epochs."""
        if self.val is None:
            return f"{self.name}: not validated yet ({_count(self.runs)})"
        best = min(range(len(self.val.mean)), key=self.val.mean.__getitem__)
        return (
            f"{self.name}: {self.val.mean[-1]:.2f} % at epoch {self.val.epochs[-1]}, "
            f"lowest {self.val.mean[best]:.2f} % at {self.val.epochs[best]} ({_count(self.runs)})"
        )


def read_rows(folders: Sequence[Path], metric: str = "top1_error") -> list[RowCurves]:
    """The curves of runs, those of seeds of one row together, rows in the order given.

    Args:
        folders: of runs, or of rows (with seed0, seed1, ... in them).
        metric: the number's name in metrics.jsonl; training's is "train_" before it.

    Raises:
        EvalError: a folder has no run, a log is malformed, has no such number, or runs of a row share no epoch of it.
    """
    rows: dict[Path, list[Path]] = {}
    for folder in folders:
        for run in _runs(folder):
            row = run.absolute().parent if _SEED.fullmatch(run.absolute().name) else run.absolute()
            if run.absolute() in rows.setdefault(row, []):
                raise EvalError(f"{run}: this run is named twice")
            rows[row].append(run.absolute())
    names = [row.name for row in rows]
    return [_row(row.name if names.count(row.name) == 1 else str(row), runs, metric) for row, runs in rows.items()]


def draw(rows: Sequence[RowCurves], path: Path, metric: str = "top1_error") -> None:
    """Write the figure: validation solid, training dashed, a colour for each row; the kind is the name's suffix.

    Raises:
        EvalError: the suffix is of no kind that matplotlib writes, or the file cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for i, row in enumerate(rows):
        colour = f"C{i % 10}"
        if row.val is not None:
            _line(axes, row.val, colour, "-", f"{row.name} ({_count(row.runs)}): {row.val.mean[-1]:.2f} %")
        if row.train is not None:
            _line(axes, row.train, colour, "--", row.text() if row.val is None else None)
    axes.set_xlabel("epoch")
    axes.set_ylabel(f"{metric.replace('_', ' ').replace('top1', 'top-1').replace('top5', 'top-5')}, %")
    dashed = ", dashed: training" if any(row.train is not None for row in rows) else ""
    band = ", band: lowest to highest seed" if any(row.runs > 1 for row in rows) else ""
    axes.set_title(f"validation{dashed}{band}", fontsize="medium")
    axes.grid(alpha=0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize="small")
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(part)
        part.replace(path)
    except (OSError, ValueError) as error:
        raise EvalError(f"{path}: cannot be written: {error}") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _line(axes: "Axes", curve: Curve, colour: str, style: str, label: str | None) -> None:
    marker = None if len(curve.epochs) > 1 else "o" if style == "-" else "x"  # a line of one point is invisible
    width = 1.6 if style == "-" else 0.9
    axes.plot(curve.epochs, curve.mean, style, color=colour, linewidth=width, marker=marker, label=label)
    if curve.low != curve.high:
        axes.fill_between(curve.epochs, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)


def _count(runs: int) -> str:
    return "1 seed" if runs == 1 else f"{runs} seeds"


def _runs(folder: Path) -> list[Path]:
    """The folder itself, or the seeds in it, by their number."""
    if (folder / METRICS).is_file():
        return [folder]
    seeds = [path.parent for path in folder.glob(f"seed*/{METRICS}") if _SEED.fullmatch(path.parent.name)]
    if not seeds:
        raise EvalError(f"{folder}: expected a run ({METRICS} in it) or a row's folder of seeds, there is neither")
    return sorted(seeds, key=lambda path: int(path.name.removeprefix("seed")))


def _row(name: str, runs: Sequence[Path], metric: str) -> RowCurves:
    logs = [_epochs(run / METRICS) for run in runs]
    val, train = _curve(logs, metric), _curve(logs, f"train_{metric}")
    if val is None and train is None:
        there = sorted({key for log in logs for entry in log.values() for key in entry} - {"epoch", "step"})
        raise EvalError(
            f"{runs[0] / METRICS}: expected {metric} at an epoch that all runs of {name} have ({_count(len(runs))}); "
            f"numbers of epochs are: {', '.join(there) or 'none yet'}"
        )
    return RowCurves(name, len(runs), val, train)


def _curve(logs: Sequence[dict[int, dict[str, Any]]], key: str) -> Curve | None:
    having = [{epoch for epoch, entry in log.items() if key in entry} for log in logs]
    epochs = sorted(set.intersection(*having))
    if not epochs:
        return None
    columns = [[float(log[epoch][key]) for log in logs] for epoch in epochs]
    return Curve(tuple(epochs), *(tuple(of(column) for column in columns) for of in (fmean, min, max)))


def _epochs(path: Path) -> dict[int, dict[str, Any]]:
    """Epoch -> the numbers of the log's line of it. A last line without an end is being written, and left out."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EvalError(f"{path}: cannot be read: {error}") from None
    found: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), start=1):
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise EvalError(f"{path}:{number}: not JSON ({error})") from None
        if not isinstance(entry, dict):
            raise EvalError(f"{path}:{number}: expected an object, came {line:.80}")
        if "epoch" in entry:
            numbers = {k: v for k, v in entry.items() if isinstance(v, int | float) and not isinstance(v, bool)}
            if type(entry["epoch"]) is not int:
                raise EvalError(f"{path}:{number}: epoch is {entry['epoch']!r:.40}, expected a whole number")
            found[entry["epoch"]] = numbers
    return found
