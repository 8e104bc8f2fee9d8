"""Figures of an evaluation: accuracy over threshold, IoU histogram, galleries. Matplotlib, without a display."""

from collections.abc import Mapping
from pathlib import Path

from eval.localization.measures import PixelScores
from eval.localization.report import Report
from eval.localization.rows import Row
from eval.localization.truth import ScoreMap
from wsol.evaluate import gallery, table
from wsol.evaluate.gallery import Entry
from wsol.evaluate.inputs import Split


def write(folder: Path, reports: Mapping[str, Report], split: Split, images: Path | None) -> None:
    """Write all figures of every geometry: curves_GEOMETRY.png, iou_GEOMETRY.png, hits_GEOMETRY.png, misses_...

    With masks: precision_GEOMETRY.png. Without boxes that one alone.
    """
    folder.mkdir(exist_ok=True)
    for name, report in reports.items():
        if report.pixels is not None:
            precision(folder / f"precision_{name}.png", report.pixels, name)
        if not report.curves:  # masks alone
            continue
        curves(folder / f"curves_{name}.png", report)
        histogram(folder / f"iou_{name}.png", report)
        for title, entries in _galleries(report, split).items():
            if entries:
                at = f"{title} at threshold {report.settings.threshold:g}, {name}"
                gallery.draw(folder / f"{title}_{name}.png", at, entries, images)


def curves(path: Path, report: Report) -> None:
    """Accuracy over threshold of every criterion, its best threshold and the one that another split chose marked.

    A colour for each IoU: V2 (dashes) often lies on V1, and GT-known Loc (dash and dot) on MaxBoxAcc at .5.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    endings = dict.fromkeys(name.rpartition("_")[2] if name.startswith("max_box") else name for name in report.curves)
    colours = {ending: f"C{place}" for place, ending in enumerate(endings)}
    for name, values in report.curves.items():
        boxes = name.startswith("max_box")
        style = "-." if not boxes else "--" if "_v2_" in name else "-"
        colour = colours[name.rpartition("_")[2] if boxes else name]
        axes.plot(report.thresholds, values, style, color=colour, label=table.title(name), linewidth=1)
        for at, mark in ((report.measures[name].best, "o"), (report.measures[name].selected, "^")):
            if at is not None and at.threshold is not None:
                axes.plot([at.threshold], [at.value], mark, color=colour, markersize=4)
    axes.axvline(report.settings.threshold, color="grey", linestyle=":", linewidth=1, label="fixed threshold")
    axes.set_xlabel(f"threshold, fraction of {report.settings.scale}")
    axes.set_ylabel("images, %")
    axes.set_ylim(0, 100)
    axes.set_xlim(0, 1)
    axes.set_title(
        f"{report.images:,} images, {report.settings.geometry}; dots: best thresholds, triangles: selected ones"
    )
    axes.legend(fontsize=7)
    figure.savefig(path, format="png", dpi=100)


def histogram(path: Path, report: Report) -> None:
    """Images by the IoU of the largest component's box at the fixed threshold."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.stairs(report.iou_histogram, report.iou_edges, fill=True)
    for iou in report.settings.ious:
        axes.axvline(iou, color="grey", linestyle=":", linewidth=1)
    axes.set_xlim(0, 1)
    axes.set_xlabel(f"IoU of the largest component's box at threshold {report.settings.threshold:g}")
    axes.set_ylabel("images")
    axes.set_title(f"{report.images:,} images, {report.settings.geometry}")
    figure.savefig(path, format="png", dpi=100)


def precision(path: Path, scores: PixelScores, name: str) -> None:
    """Precision over recall of all masks' pixels; the area is PxAP."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(scores.recall, scores.precision, linewidth=1)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("recall of pixels")
    axes.set_ylabel("precision of pixels")
    axes.set_title(f"PxAP {scores.pxap.value:.2f}, {name}")
    figure.savefig(path, format="png", dpi=100)


def _galleries(report: Report, split: Split) -> dict[str, list[Entry]]:
    """Hits and misses by GT-known Loc at the fixed threshold."""
    found = {str(row["image"]): row for row in report.rows()}
    chosen = gallery.choose((name, bool(row["fixed_gt_known_loc"])) for name, row in found.items())
    return {
        title: [_entry(score_map, split, found[score_map.id]) for score_map in split.maps(names)]
        for title, names in zip(("hits", "misses"), chosen, strict=True)
    }


def _entry(score_map: ScoreMap, split: Split, row: Row) -> Entry:
    box = [float(row[f"fixed_{corner}"] or 0) for corner in ("x0", "y0", "x1", "y1")]
    return Entry(score_map, split.truths[score_map.id], box, float(row["fixed_iou"] or 0))
