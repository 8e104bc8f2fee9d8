"""What a launch says in words: the dry run's list and the summary at the end."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from core.watch import duration
from launch.plan import DataUse, PlannedCell
from launch.run import Ended, Fate
from launch.state import State, state_of


def dry_run(name: str, cells: Sequence[PlannedCell], runs: Path) -> str:
    """Every cell with its state, images, dependencies, data and command; the totals; what data is missing and why."""
    states = {cell.key: state_of(cell, runs) for cell in cells}
    lines = [f"table {name}: {len(cells)} cells in {runs}", ""]
    for place, cell in enumerate(cells, 1):
        lines += [*_cell_lines(f"[{place}/{len(cells)}]", cell, states[cell.key]), ""]
    lines += _totals(cells, states)
    lines += _missing_data(cells) or ["no data is missing where the configs could be read"]
    return "\n".join(lines)


def summary(ends: Sequence[Ended], seconds: float) -> str:
    """Done, failed with the log's last lines, blocked with by what, stopped; in that order."""
    counts = Counter(ended.fate for ended in ends)
    words = [f"{counts[fate]} {text}" for fate, text in _WORDS.items() if counts[fate]]
    peak = max((ended.max_rss for ended in ends), default=0)
    memory = f"; largest cell {peak / 2**20:,.0f} MiB" if peak else ""
    lines = [f"{len(ends)} cells in {duration(seconds)}: {', '.join(words)}{memory}"]
    for ended in ends:
        if ended.fate is Fate.FAILED:
            lines += ["", f"failed: {ended.cell.key}: {ended.reason}"]
            lines += [f"  log: {ended.log}"] if ended.log is not None else []
            lines += [f"  | {line}" for line in ended.tail]
    blocked = [ended for ended in ends if ended.fate is Fate.BLOCKED]
    lines += [""] * bool(blocked) + [f"blocked: {ended.cell.key} needs {ended.reason}" for ended in blocked]
    return "\n".join(lines + _missing_data(ended.cell for ended in ends if ended.fate is Fate.FAILED))


_WORDS = {
    Fate.SKIPPED: "done before",
    Fate.DONE: "done now",
    Fate.FAILED: "failed",
    Fate.BLOCKED: "blocked",
    Fate.STOPPED: "not done",
}


def _cell_lines(place: str, cell: PlannedCell, state: State) -> list[str]:
    lines = [f"{place} {cell.key}: {state}, {_images(cell)}"]
    if cell.error is not None:
        lines += _indent(f"error: {cell.error}")
    lines += [f"    needs {key}" for key in cell.needs]
    lines += [f"    reads {_use(use)}" for use in cell.data]
    return [*lines, f"    {cell.shown_command}"]


def _images(cell: PlannedCell) -> str:
    return "images unknown" if cell.images is None else f"{cell.images:,} images to process"


def _use(use: DataUse) -> str:
    count = "" if use.images is None else f", {use.images:,} images"
    if use.missing is None:
        return f"{use.name} {use.split} in {use.root}{count}"
    if use.world:
        return f"{use.name} {use.split} in {use.root}{count} (synthetic; the launch writes it first)"
    return f"{use.name} {use.split} in {use.root}: MISSING (published: {use.images:,} images)"


def _totals(cells: Sequence[PlannedCell], states: dict[str, State]) -> list[str]:
    counts = Counter(states.values())
    todo = [cell for cell in cells if states[cell.key] is not State.DONE]
    known = sum(cell.images or 0 for cell in todo)
    unknown = sum(cell.images is None for cell in todo)
    errors = sum(cell.error is not None for cell in cells)
    lines = [", ".join(f"{counts[state]} {state}" for state in State if counts[state])]
    lines += [f"{errors} cells that cannot start (error)"] * bool(errors)
    more = f", and {unknown} cells of unknown size" if unknown else ""
    return [*lines, f"images to process in the {len(todo)} cells that are not done: {known:,}{more}"]


def _missing_data(cells: Iterable[PlannedCell]) -> list[str]:
    """Each missing data set once: what its splits lack, where it was looked for, the layout expected."""
    missing: dict[tuple[str, str], dict[str, str]] = {}
    for use in [use for cell in cells for use in cell.missing]:
        missing.setdefault((use.name, use.root), {})[use.split] = use.missing or ""
    lines = []
    for (name, root), splits in missing.items():
        lines += ["", f"missing data: {name} ({', '.join(splits)}), looked for in {root}"]
        # A message is what is missing, then the layout, which the splits share.
        parts = [message.partition("\n") for message in splits.values()]
        lines += _indent("\n".join(dict.fromkeys([first for first, _, _ in parts] + [rest for _, _, rest in parts])))
    return lines


def _indent(text: str) -> list[str]:
    return [f"    {line}" for line in text.splitlines()]
