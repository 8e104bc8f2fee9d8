"""A report as plain text, coloured text, Markdown and CSV."""

import csv
import io
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eval.report import Entry, Report, Status
from eval.table import Column, Row

if TYPE_CHECKING:
    from rich.console import RenderableType

CSV_COLUMNS = (
    *("row", "column", "metric", "unit", "higher_is_better", "seeds"),
    *("mean", "std", "delta", "paper", "paper_delta", "status"),
)


_LACKING = (Status.MISSING, Status.PARTIAL, Status.STALE, Status.BROKEN)


@dataclass(frozen=True)
class View:
    """The part of a report to show, and the words of the commands that make what is missing."""

    report: Report
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    make: tuple[str, ...]
    """Such as `("make", "transfer-all", "TABLE=quick")`; FORCE, ROWS and COLUMNS are added."""

    def entry(self, row: Row, column: Column) -> Entry:
        """The number of a row in a column."""
        return self.report.entries[row.name, column.name]


def text(view: View) -> str:
    """An aligned table with its notes, for logs and pipes."""
    grid = [[("",), *(_header(view, column) for column in view.columns)]]
    for row in view.rows:
        grid.append([(row.name,), *(_lines(view, row, column) for column in view.columns)])
    widths = [max(len(line) for cells in grid for line in cells[at]) for at in range(len(grid[0]))]
    lines = []
    for cells in grid:
        for at in range(max(map(len, cells))):
            words = [cell[at] if at < len(cell) else "" for cell in cells]
            lines.append("  ".join(word.ljust(width) for word, width in zip(words, widths, strict=True)).rstrip())
        lines.append("-" * (sum(widths) + 2 * len(widths) - 2) if cells is grid[0] else "")
    return "\n".join([*lines, below(view)])


def coloured(view: View) -> "RenderableType":
    """The table alone for a terminal: better than the baseline in green, worse in red, missing in yellow."""
    from rich.table import Table
    from rich.text import Text

    table = Table(show_lines=True)
    table.add_column("")
    for column in view.columns:
        table.add_column(Text("\n".join(_header(view, column))))
    for row in view.rows:
        cells = []
        for column in view.columns:
            entry, (first, *rest) = view.entry(row, column), _lines(view, row, column)
            plain = {None: "bold", True: "bold green", False: "bold red"}[entry.better]
            style = plain if entry.status in (Status.OK, Status.PARTIAL) else "yellow"
            cells.append(Text.assemble((first, style), *((f"\n{line}", "dim") for line in rest)))
        table.add_row(Text(row.name, "bold"), *cells)
    return table


def markdown(view: View) -> str:
    """A Markdown table with its notes."""
    header = ["", *("<br>".join(_header(view, column)) for column in view.columns)]
    body = [[row.name, *("<br>".join(_lines(view, row, c)) for c in view.columns)] for row in view.rows]
    grid = [header, ["---"] * len(header), *body]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in grid]
    lines = [f"# {view.report.table.name}", "", *lines, "", *(f"{note}  " for note in _notes(view))]
    if commands := _commands(view):
        lines += ["", "To make what is missing:", "", "```sh", *commands, "```"]
    sources = [(column.name, view.report.reference(column)) for column in view.columns]
    published = [f"- {name}: {reference.source}" for name, reference in sources if reference]
    if published:
        lines += ["", "Where the numbers to compare with stand:", "", *published]
    return "\n".join([*lines, ""])


def as_csv(view: View) -> str:
    """Long form, one line an entry, all digits; the header is CSV_COLUMNS, an absent number is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in view.rows:
        for column in view.columns:
            e = view.entry(row, column)
            higher = "" if e.higher_is_better is None else str(e.higher_is_better).lower()
            writer.writerow([row.name, column.name, column.metric, e.unit, higher, e.seeds, e.mean, e.std, e.delta,
                             e.paper, e.paper_delta, e.status])  # fmt: skip
    return out.getvalue()


def below(view: View) -> str:
    """What stands below the table: how to read it, footnotes, what is wrong, and the commands for what is missing."""
    commands = _commands(view)
    lines = [*_notes(view), *(["", "To make what is missing:", *commands] if commands else [])]
    return "\n".join([*lines, ""])


def _notes(view: View) -> list[str]:
    table, references = view.report.table, view.report.references
    lines = []
    rows = [view.entry(row, view.columns[0]).row for row in view.rows]  # of the whole table, with their baselines
    baselines = list(dict.fromkeys(base.name for row in rows if (base := table.baseline_of(row))))
    if baselines:
        whose = baselines[0] if len(baselines) == 1 else f"the row's own baseline ({', '.join(baselines)})"
        lines.append(f"In brackets: difference to {whose}. ±: standard deviation over seeds.")
    if references is not None and any(column.reference for column in view.columns):
        lines.append(f"paper: {references.title}, its difference to its own baseline in brackets.")
    lines += table.notes
    lines += [f"[{number}] {note}" for note, number in _numbers(view).items()]
    entries = [view.entry(row, column) for row in view.rows for column in view.columns]
    for entry in entries:
        if entry.status in (Status.BROKEN, Status.STALE):
            lines.append(f"{entry.status}: {entry.row.name}, {entry.column.name}: {entry.reason}")
    return lines


def _commands(view: View) -> list[str]:
    """One command a row, or one for all rows that lack the same columns.

    A run of another config or one that cannot be read is replaced only by force, and so is what it was made from.
    """
    lacking: dict[tuple[bool, tuple[str, ...]], list[str]] = {}
    for row in view.rows:
        states = {column.key: view.entry(row, column).status for column in view.columns}
        columns = tuple(key for key, status in states.items() if status in _LACKING)
        if columns:
            force = any(states[key] in (Status.STALE, Status.BROKEN) for key in columns)
            lacking.setdefault((force, columns), []).append(row.key)
    commands = []
    for (force, keys), rows in lacking.items():
        words = [*view.make, *(["FORCE=1"] if force else [])]
        if len(rows) < len(view.report.table.rows):
            words.append(f"ROWS={','.join(rows)}")
        if len(keys) < len(view.report.table.columns):
            words.append(f"COLUMNS={','.join(keys)}")
        commands.append(shlex.join(words))
    return commands


def _header(view: View, column: Column) -> tuple[str, ...]:
    numbers = _numbers(view)
    marks = "".join(f"[{numbers[note]}]" for note in view.report.notes(column))
    known = [entry for entry in (view.entry(row, column) for row in view.rows) if entry.unit]
    how = f"{known[0].unit}, {'higher' if known[0].higher_is_better else 'lower'} is better" if known else ""
    return tuple(filter(None, (f"{column.name} {marks}".strip(), how)))


def _numbers(view: View) -> dict[str, int]:
    """The number of every footnote of the columns shown."""
    notes = dict.fromkeys(note for column in view.columns for note in view.report.notes(column))
    return {note: number for number, note in enumerate(notes, 1)}


def _lines(view: View, row: Row, column: Column) -> tuple[str, ...]:
    """What a cell of the table says: ours, and below it the references' number."""
    entry, reference = view.entry(row, column), view.report.reference(column)
    if entry.mean is None:
        first = f"n/a: {entry.reason}" if entry.status is Status.NOT_APPLICABLE else entry.status.value
    else:
        spread = f" ± {entry.std:.2f}" if entry.std is not None else ""
        first = f"{entry.mean:.2f}{spread}{_bracketed(entry.delta, 2)}"
        if entry.status is not Status.OK:
            seeds = f", {entry.seeds} seed{'s' if entry.seeds > 1 else ''}" if entry.status is Status.PARTIAL else ""
            first += f" {entry.status}{seeds}"
    if entry.paper is None or reference is None:
        return (first,)
    return first, f"paper {entry.paper:.{reference.decimals}f}{_bracketed(entry.paper_delta, reference.decimals)}"


def _bracketed(delta: float | None, decimals: int) -> str:
    return "" if delta is None else f" ({delta:+.{decimals}f})"
