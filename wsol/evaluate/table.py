"""The result as a table: coloured on a terminal, aligned text elsewhere. Made from result.json's content alone."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]
_MARKS = ("fixed", "selected", "best")
_HEADINGS = {"fixed": "at {:g}", "selected": "chosen on the other split", "best": "best of this split"}
_MOST_SKIPPED = 10


def text(result: Result, *, terminal: bool = False) -> str:
    """Every measure, baselines, the geometries' difference, what was skipped, and notes."""
    blocks = [_block(name, report, terminal) for name, report in result["geometries"].items()]
    if result.get("difference"):
        blocks.append(_difference(result["difference"], terminal))
    return "\n".join([*blocks, *_skipped(result["skipped"])])


def _block(name: str, report: Result, terminal: bool) -> str:
    marks = [mark for mark in _MARKS if any(found.get(mark) for found in report["measures"].values())]
    threshold = report["settings"]["threshold"]
    rows = [
        [_title(measure), *(_at(found.get(mark), with_threshold=mark != "fixed") for mark in marks)]
        for measure, found in report["measures"].items()
    ]
    heading = [f"{report['images']:,} images, {name}", *(_HEADINGS[mark].format(threshold) for mark in marks)]
    lines = [_grid(heading, rows, terminal)] if rows else [f"{report['images']:,} images, {name}\n"]
    lines += [f"{key}: {value}\n" for key, value in _single(report)]
    lines += [f"note: {note}\n" for note in report.get("notes", ())]
    return "".join(lines)


def _at(found: Mapping[str, Any] | None, *, with_threshold: bool) -> str:
    """ "43.75 [33.75, 55.00] at 0.231"; one threshold each for a mean of several."""
    if not found or found["value"] is None:
        return "n/a"
    shown = f"{found['value']:.2f}"
    if found.get("interval"):
        shown += " [{:.2f}, {:.2f}]".format(*found["interval"])
    threshold = found.get("threshold")
    if with_threshold and isinstance(threshold, int | float):
        shown += f" at {threshold:.4g}"
    return shown


def _title(measure: str) -> str:
    """ "gt_known_loc" as people write it."""
    words = {"gt": "GT", "known": "known", "loc": "Loc", "top1": "top-1", "top5": "top-5", "max": "Max", "v2": "V2"}
    if measure.startswith("max_box_acc"):
        rest = measure.removeprefix("max_box_acc").strip("_").split("_")
        version = "V2" if rest[0] == "v2" else ""
        iou = f" IoU {int(rest[-1]) / 100:g}" if rest[-1].isdigit() else ""
        return f"MaxBoxAcc{version}{iou}"
    return " ".join(words.get(word, word) for word in measure.split("_")).replace("GT known", "GT-known")


def _single(report: Result) -> list[tuple[str, str]]:
    found = []
    if report.get("pixels"):
        found += [(key, f"{value:.2f}") for key, value in report["pixels"].items() if isinstance(value, int | float)]
    for name, baseline in (report.get("baselines") or {}).items():
        found.append((f"baseline {name}", str(baseline)))
    return found


def _difference(difference: Mapping[str, Mapping[str, float]], terminal: bool) -> str:
    marks = [mark for mark in _MARKS if any(mark in found for found in difference.values())]
    rows = [
        [_title(name), *(f"{found[mark]:+.2f}" if mark in found else "n/a" for mark in marks)]
        for name, found in difference.items()
    ]
    return _grid(["corrected minus compat", *marks], rows, terminal)


def _skipped(skipped: Sequence[Mapping[str, str]]) -> list[str]:
    if not skipped:
        return []
    shown = [f"  {entry['id']}: {entry['why']}\n" for entry in skipped[:_MOST_SKIPPED]]
    more = len(skipped) - len(shown)
    tail = [f"  and {more:,} more, in result.json\n"] if more else []
    return ["".join([f"{len(skipped):,} images were left out:\n", *shown, *tail])]


def _grid(heading: Sequence[str], rows: Sequence[Sequence[str]], terminal: bool) -> str:
    if terminal:
        from rich.console import Console
        from rich.table import Table

        table = Table(*heading)
        for row in rows:
            table.add_row(*row)
        out = io.StringIO()
        Console(file=out, force_terminal=True).print(table)
        return out.getvalue()
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in (heading, *rows)]  # fmt: skip
    return "\n".join(lines) + "\n"
