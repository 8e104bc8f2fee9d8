"""A table's numbers, as a function of the results below the folder of runs and nothing else.

Every entry is a mean over the seeds that are there, with the difference to the baseline row over the seeds that both
have, and what the references say of the same two rows.
"""

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from eval.errors import EvalError
from eval.references import ReferenceColumn, References
from eval.results import MetricValue, read_result
from eval.table import Cell, Column, Row, Table, column_cells


class Status(StrEnum):
    """What stands behind an entry of the table."""

    OK = "ok"
    PARTIAL = "partial"
    """Some seeds are missing."""
    STALE = "stale"
    """A run of another config or other data than the plan of the last launch has."""
    MISSING = "missing"
    NOT_APPLICABLE = "n/a"
    """The task cannot be done with this backbone; the reason is given."""
    BROKEN = "broken"
    """A result that cannot be read, or has no such metric; the reason is given."""


@dataclass(frozen=True)
class Entry:
    """One row's number in one column. Absent numbers are None."""

    row: Row
    column: Column
    status: Status
    reason: str = ""
    unit: str = ""
    higher_is_better: bool | None = None
    seeds: int = 0
    """How many stand behind the mean."""
    mean: float | None = None
    std: float | None = None
    """Sample standard deviation over seeds, of two or more."""
    delta: float | None = None
    """Mean difference to the row's baseline, seed by seed; None for a baseline itself."""
    paper: float | None = None
    paper_delta: float | None = None
    """The paper's difference to its own baseline."""

    @property
    def better(self) -> bool | None:
        """Whether the difference to the baseline is an improvement; None without one."""
        return None if not self.delta else (self.delta > 0) == self.higher_is_better


@dataclass(frozen=True)
class Report:
    """A table with its numbers: `entries[row name, column name]`."""

    table: Table
    references: References | None
    entries: Mapping[tuple[str, str], Entry]

    def reference(self, column: Column) -> ReferenceColumn | None:
        """The published column to compare with, if there is one."""
        return self.references.column(column.reference) if self.references and column.reference else None

    def notes(self, column: Column) -> tuple[str, ...]:
        """The references' footnotes on a column."""
        reference = self.reference(column)
        return reference.notes if reference else ()


def collect(table: Table, runs: Path, references: References | None = None) -> Report:
    """Reads every result of a table that is there.

    Raises:
        EvalError: a row's or column's `reference` that the references do not have.
    """
    digests = {key: cell.get("digest") for key, cell in planned(table, runs).items()}
    reader = _Reader(table, runs, digests)
    for row in table.rows:
        if references and row.reference:
            references.check_row(row.reference)
    entries = {}
    for column in table.columns:
        reference = references.column(column.reference) if references and column.reference else None
        for row in table.rows:
            entries[row.name, column.name] = reader.entry(row, column, reference)
    return Report(table, references, entries)


def planned(table: Table, runs: Path) -> dict[str, dict[str, Any]]:
    """The cells of the table's last launch by key, from its plan file; empty where there is none that can be read."""
    try:
        plan = json.loads((runs / "tables" / f"{table.name}.plan.json").read_text(encoding="utf-8"))
        return {key: dict(cell) for key, cell in plan["cells"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


@dataclass(frozen=True)
class _Reading:
    """One seed's number, or why there is none."""

    metric: MetricValue | None
    status: Status
    reason: str = ""


@dataclass(frozen=True)
class _Reader:
    table: Table
    runs: Path
    digests: Mapping[str, str | None]
    """What the last launch expected, by cell."""

    def entry(self, row: Row, column: Column, reference: ReferenceColumn | None) -> Entry:
        readings = {seed: self._read(column_cells(row, column, seed)[-1], column) for seed in self.table.seeds}
        metrics = [reading.metric for reading in readings.values() if reading.metric]
        values = _values(readings)
        baseline = self.table.baseline_of(row)
        delta = None
        if baseline is not None and values:
            others = _values({seed: self._read(column_cells(baseline, column, seed)[-1], column) for seed in values})
            delta = statistics.fmean(values[seed] - others[seed] for seed in others) if others else None
        status, reason = _summary(list(readings.values()))
        unit = metrics[0].unit if metrics else ""
        if reference and unit and reference.unit != unit:
            raise EvalError(f"column {column.name!r}: results in {unit!r}, the references' in {reference.unit!r}")
        paper, paper_delta = _published(reference, row, baseline)
        return Entry(
            row,
            column,
            status,
            reason,
            unit,
            metrics[0].higher_is_better if metrics else None,
            len(values),
            statistics.fmean(values.values()) if values else None,
            statistics.stdev(values.values()) if len(values) > 1 else None,
            delta,
            paper,
            paper_delta,
        )

    def _read(self, cell: Cell, column: Column) -> _Reading:
        try:
            result = read_result(self.runs / cell.folder)
            if result is None:
                return _Reading(None, Status.MISSING)
            metric = result.metric(column.metric)
        except EvalError as error:
            return _Reading(None, Status.BROKEN, str(error))
        if metric.value is None:
            return _Reading(metric, Status.NOT_APPLICABLE, str(result.more.get("reason", "no reason given")))
        if self.digests.get(cell.key) not in (None, result.digest):
            return _Reading(metric, Status.STALE, f"{result.path}: of another config or other data than the plan")
        return _Reading(metric, Status.OK)


def _values(readings: Mapping[int, _Reading]) -> dict[int, float]:
    found = {seed: reading.metric.value for seed, reading in readings.items() if reading.metric}
    return {seed: value for seed, value in found.items() if value is not None}


def _summary(readings: list[_Reading]) -> tuple[Status, str]:
    """The status of several seeds together: the most pressing of theirs."""
    for status in (Status.BROKEN, Status.STALE, Status.NOT_APPLICABLE):
        if first := next((reading for reading in readings if reading.status is status), None):
            return status, first.reason
    missing = sum(reading.status is Status.MISSING for reading in readings)
    if missing:
        return (Status.MISSING if missing == len(readings) else Status.PARTIAL), ""
    return Status.OK, ""


def _published(reference: ReferenceColumn | None, row: Row, baseline: Row | None) -> tuple[float | None, float | None]:
    if reference is None or row.reference is None:
        return None, None
    paper = reference.values.get(row.reference)
    base = reference.values.get(baseline.reference) if baseline and baseline.reference else None
    return paper, paper - base if paper is not None and base is not None else None
