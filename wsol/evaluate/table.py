"""The result as a table: coloured on a terminal, aligned text elsewhere. Made from result.json's content alone."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]
_MARKS = ("fixed", "selected", "best")
_HEADINGS = {"fixed": "at {:g}", "selected": "chosen by other split", "best": "best here"}
_BASELINES = {"whole_image": "whole image", "centre_box": "centre box"}
_TITLES = {"gt_known_loc": "GT-known Loc", "top1_loc": "top-1 Loc", "top5_loc": "top-5 Loc"}
_MOST_SKIPPED = 10


def text(result: Result, *, terminal: bool = False) -> str:
    """Every measure, baselines, the geometries' difference, what was skipped, and notes."""
    blocks = [_block(name, report, terminal) for name, report in result["geometries"].items()]
    if result.get("difference"):
        blocks.append(_difference(result["difference"], terminal))
    notes = "".join(f"note: {note}\n" for note in result["notes"])
    return "\n".join([*blocks, *([notes] if notes else []), *_skipped(result["skipped"])])


def _block(name: str, report: Result, terminal: bool) -> str:
    pixels = report["pixels"]
    measures = {**report["measures"], **({"mask IoU": pixels["iou"]} if pixels else {})}
    marks = [mark for mark in _MARKS if any(found[mark] for found in measures.values())]
    baselines = {key: report["baselines"][key] for key in _BASELINES if key in report["baselines"]}
    rows = [
        [
            title(measure),
            *(_at(found[mark], threshold="" if mark == "fixed" else " at ") for mark in marks),
            *(_baseline(values.get(measure)) for values in baselines.values()),
        ]
        for measure, found in measures.items()
    ]
    marked = (_HEADINGS[mark].format(report["settings"]["threshold"]) for mark in marks)
    heading = [f"{report['images']:,} images, {name}", *marked, *(_BASELINES[key] for key in baselines)]
    lines = [_grid(heading, rows, terminal)]
    if pixels:
        gaussian = report["baselines"]["centre_gaussian"]["pxap"]
        lines.append(f"PxAP: {_at(pixels['pxap'])}; a Gaussian at the centre: {_at(gaussian)}\n")
    return "".join([*lines, *(f"note: {note}\n" for note in report["notes"])])


def _at(found: Mapping[str, Any] | None, *, threshold: str = "") -> str:
    """ "43.75 [33.7, 55.0] at 0.231"; a mean of several has no threshold of its own."""
    if not found:
        return "n/a"
    shown = f"{found['value']:.2f}"
    if found["interval"]:
        shown += " [{:.1f}, {:.1f}]".format(*found["interval"])
    if threshold and found["threshold"] is not None:
        shown += f"{threshold}{found['threshold']:.3g}"
    return shown


def _baseline(found: Mapping[str, Any] | None) -> str:
    """ "43.75 (side 0.73)"; its interval is in result.json."""
    if not found:
        return "n/a"
    side = f" (side {found['threshold']:.2f})" if found["threshold"] is not None else ""
    return f"{found['value']:.2f}{side}"


def title(measure: str) -> str:
    """A measure's name as people write it: "max_box_acc_v2_50" is "MaxBoxAccV2 0.5"."""
    if not measure.startswith("max_box_acc"):
        return _TITLES.get(measure, measure)
    version, _, iou = measure.removeprefix("max_box_acc").removeprefix("_").rpartition("_")
    if iou == "v2":
        return "MaxBoxAccV2 mean"
    return f"MaxBoxAcc{version.upper()} {float(iou) / 100:g}"


def _difference(difference: Mapping[str, Mapping[str, float]], terminal: bool) -> str:
    marks = [mark for mark in _MARKS if any(mark in found for found in difference.values())]
    rows = [
        [title(name), *(f"{found[mark]:+.2f}" if mark in found else "" for mark in marks)]
        for name, found in difference.items()
    ]
    return _grid(["corrected minus compat", *marks], rows, terminal)


def _skipped(skipped: Sequence[Mapping[str, str]]) -> list[str]:
    if not skipped:
        return []
    shown = [f"  {entry['id']}: {entry['why']}\n" for entry in skipped[:_MOST_SKIPPED]]
    more = len(skipped) - len(shown)
    tail = [f"  and {more:,} more, in result.json\n"] if more else []
    count = "1 image was" if len(skipped) == 1 else f"{len(skipped):,} images were"
    return ["".join([f"{count} left out:\n", *shown, *tail])]


def _grid(heading: Sequence[str], rows: Sequence[Sequence[str]], terminal: bool) -> str:
    if terminal:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table

        table = Table(*heading, box=SIMPLE_HEAD)
        for row in rows:
            table.add_row(*row)
        out = io.StringIO()
        Console(file=out, force_terminal=True).print(table)
        return out.getvalue()
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
             for row in (heading, *rows)]  # fmt: skip
    return "\n".join(lines) + "\n"
