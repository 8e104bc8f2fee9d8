"""Precision over recall of every class, as a figure and as numbers.

A point is a detection that finds an object: recall and precision of all detections down to it. Between two points
precision only falls, so that they hold the whole curve; average precision is made of the best precision at each recall
or more, which the figure shows as a step line.

Letters: M points of a class, T thresholds of IoU.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eval.detection.matching import Matches
from eval.errors import EvalError
from eval.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = (0.5, 0.75)
"""Thresholds that the figure has a line for; the numbers are there for all."""


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """The points of one class at one threshold, best score first."""

    scores: NDArray[np.float64]
    """[M]"""
    recall: NDArray[np.float64]
    """[M] fractions of the objects asked for."""
    precision: NDArray[np.float64]
    """[M] fractions of the detections that count."""

    @classmethod
    def of(cls, matches: Matches, label: int, column: int) -> "PrecisionRecall":
        """Of a class that has objects, at the threshold `matches.ious[column]`."""
        mine = np.flatnonzero((matches.labels == label) & matches.counted[column])
        at = np.flatnonzero(matches.right[column, mine])
        found = np.arange(1, len(at) + 1)
        return cls(matches.scores[mine[at]], found / int(matches.asked[label]), found / (at + 1))

    @property
    def envelope(self) -> NDArray[np.float64]:
        """The best precision at each point's recall or more: [M]."""
        return np.asarray(np.maximum.accumulate(self.precision[::-1])[::-1])


def check_kind(path: Path) -> None:
    """Before the work for a figure. EvalError: its suffix is of no kind that matplotlib writes."""
    from matplotlib.backend_bases import FigureCanvasBase

    kinds = FigureCanvasBase.get_supported_filetypes()
    if path.suffix[1:].lower() not in kinds:
        raise EvalError(
            f"{path}: expected the name of a figure, .png, .pdf or .svg (there are {', '.join(sorted(kinds))}); the "
            "numbers go beside it as .csv"
        )


def draw(
    matches: Matches, classes: Sequence[str], table: NDArray[np.float64], path: Path, shown: Sequence[float] = SHOWN
) -> None:
    """Write the figure, a small plot for each class with objects; the kind is the name's suffix.

    Args:
        matches: at thresholds that include those of `shown`.
        classes: names by label.
        table: average precision, for the titles: [K, T] fractions.
        path: of the figure.
        shown: thresholds to draw.

    Raises:
        EvalError: the suffix is of no kind that matplotlib writes, or the file cannot be written.
    """
    from matplotlib.figure import Figure

    check_kind(path)
    labels = np.flatnonzero(matches.asked).tolist()
    columns = ceil(sqrt(1.25 * len(labels)))
    rows = ceil(len(labels) / columns)
    figure = Figure(figsize=(2.2 * columns, 2.2 * rows + 0.8), dpi=120, layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    lines = [matches.ious.index(threshold) for threshold in shown]
    for axes, label in zip(grid.flat, labels, strict=False):
        _plot(axes, [PrecisionRecall.of(matches, label, column) for column in lines])
        values = " / ".join(f"{100 * table[label, column]:.1f}" for column in lines)
        axes.set_title(f"{classes[label]}\n{values}", fontsize="small")
    for axes in grid.flat[len(labels) :]:
        axes.set_axis_off()
    figure.legend(
        grid.flat[0].get_lines(), [f"IoU {threshold:g}" for threshold in shown], loc="outside lower center", ncols=9
    )
    for axes in grid[-1]:
        axes.set_xlabel("recall", fontsize="small")
    for axes in grid[:, 0]:
        axes.set_ylabel("precision", fontsize="small")
    titles = " / ".join(f"AP{100 * threshold:g}" for threshold in shown)
    figure.suptitle(f"best precision at a recall or more; below each name: {titles}", fontsize="medium")
    with replacing(path) as part:
        figure.savefig(part)


def write_csv(matches: Matches, classes: Sequence[str], path: Path) -> None:
    """All points of all classes and thresholds: class, iou, score, recall, precision. EvalError: cannot be written."""
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("class", "iou", "score", "recall", "precision"))
        for label in np.flatnonzero(matches.asked).tolist():
            for column, threshold in enumerate(matches.ious):
                writer.writerows(
                    (classes[label], f"{threshold:g}", *point) for point in _points(matches, label, column)
                )


def _points(matches: Matches, label: int, column: int) -> Iterator[tuple[str, ...]]:
    curve = PrecisionRecall.of(matches, label, column)
    for point in zip(curve.scores.tolist(), curve.recall.tolist(), curve.precision.tolist(), strict=True):
        yield tuple(f"{value:.6g}" for value in point)


def _plot(axes: "Axes", curves: Sequence[PrecisionRecall]) -> None:
    for i, curve in enumerate(curves):
        recall = np.concatenate([[0.0], curve.recall, curve.recall[-1:]])
        precision = np.concatenate([curve.envelope[:1], curve.envelope, [0.0]])  # from the left edge, down to the axis
        axes.plot(recall, precision, color=f"C{i}", linewidth=1.4, drawstyle="steps-pre")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.04)
    axes.set_xticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.set_yticks([0, 0.5, 1], ["0", ".5", "1"])
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize="x-small")
