"""Figures of an evaluation: accuracy over threshold, IoU histogram, galleries. Matplotlib, without a display."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from eval.localization.report import Report
from wsol.evaluate import gallery
from wsol.evaluate.gallery import Entry
from wsol.evaluate.inputs import Split

_SHOWN = ("gt_known_loc", "top1_loc", "top5_loc", "max_box_acc", "max_box_acc_v2")


def write(folder: Path, reports: Mapping[str, Report], split: Split, images: Path | None) -> None:
    """Write all figures of every geometry: curves_GEOMETRY.png, iou_GEOMETRY.png, hits_GEOMETRY.png, misses_...

    Raises:
        EvalError: an image below `images` cannot be read.
    """
    folder.mkdir(exist_ok=True)
    for name, report in reports.items():
        if not report.curves:  # masks alone
            continue
        curves(folder / f"curves_{name}.png", report)
        histogram(folder / f"iou_{name}.png", report)
        for title, entries in _galleries(report, split).items():
            if entries:
                gallery.draw(folder / f"{title}_{name}.png", f"{title}, {name}", entries, images)


def curves(path: Path, report: Report) -> None:
    """Accuracy over threshold of every criterion, its fixed threshold and its best one marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for name, (thresholds, values) in report.curves.items():
        (line,) = axes.plot(thresholds, values, label=name, linewidth=1)
        best = report.measures[name].best
        if best.threshold is not None:
            axes.plot([best.threshold], [best.value], "o", color=line.get_color(), markersize=4)
    axes.axvline(report.settings.threshold, color="grey", linestyle=":", linewidth=1, label="fixed threshold")
    axes.set_xlabel(f"threshold, fraction of {report.settings.scale}")
    axes.set_ylabel("images, %")
    axes.set_ylim(0, 100)
    axes.set_xlim(0, 1)
    axes.set_title(f"{report.images:,} images, {report.settings.geometry}; dots: best thresholds")
    axes.legend(fontsize=7)
    figure.savefig(path, format="png", dpi=100)


def histogram(path: Path, report: Report) -> None:
    """Images by the IoU of the largest component's box at the fixed threshold."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    counts = np.asarray(report.iou_histogram)
    edges = np.linspace(0, 1, len(counts) + 1)
    axes.stairs(counts, edges, fill=True)
    for iou in report.settings.ious:
        axes.axvline(iou, color="grey", linestyle=":", linewidth=1)
    axes.set_xlim(0, 1)
    axes.set_xlabel(f"IoU of the largest component's box at threshold {report.settings.threshold:g}")
    axes.set_ylabel("images")
    figure.savefig(path, format="png", dpi=100)


def _galleries(report: Report, split: Split) -> dict[str, Sequence[Entry]]:
    """Hits and misses by GT-known Loc at the fixed threshold."""
    raise NotImplementedError
