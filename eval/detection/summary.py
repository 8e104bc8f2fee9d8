"""An evaluation as text for people and as JSON for programs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from eval.columns import Line, between, columns, count
from eval.detection.error_split import BACKGROUND, Error, ErrorSplit
from eval.detection.evaluation import HEADLINES, Evaluation, Intervals, Row
from eval.detection.voc import SIZES
from eval.difference import Differences

_TITLES = {"ap50": "AP50", "ap75": "AP75", "ap": "AP"}


@dataclass(frozen=True)
class Summary:
    """What was asked for; None: not asked for."""

    predictions: str
    evaluation: Evaluation
    voc: bool
    """Whether VOC's numbers were."""
    coco: Mapping[str, float] | None = None
    """COCO's twelve."""
    side_by_side: Sequence[Row] | None = None
    intervals: Intervals | None = None
    difference: Differences | None = None
    errors: ErrorSplit | None = None

    def text(self) -> str:
        """All of it, in percent."""
        parts = [_head(self)]
        if self.coco is not None:
            parts.append(_coco(self.coco))
        if self.voc:
            parts.append(_voc(self.evaluation, self.intervals))
        if self.side_by_side is not None:
            parts.append(_side_by_side(self.side_by_side))
        if self.difference is not None:
            parts.append(self.difference.text(_TITLES))
        if self.errors is not None:
            parts.append(_errors(self.errors))
        return "\n\n".join(parts) + "\n"

    def as_json(self) -> dict[str, Any]:
        """All of it; numbers are in percent."""
        one = self.evaluation
        found: dict[str, Any] = {
            "predictions": self.predictions,
            "ground_truth": one.ground_truth.name,
            "images": one.truth.images,
            "detections": len(one.detections.scores),
        }
        if self.coco is not None:
            found["coco"] = {name: None if value != value else value for name, value in self.coco.items()}
        if self.voc:
            found["voc"] = {"semantics": one.semantics.name, "rule": one.rule} | asdict(one.scores)
            found["voc"]["objects"] = one.objects
        if self.side_by_side is not None:
            found["side_by_side"] = [asdict(row) for row in self.side_by_side]
        if self.intervals is not None:
            found["intervals"] = {"level": 0.95} | asdict(self.intervals)
        if self.difference is not None:
            found["difference"] = self.difference.as_json()
        if self.errors is not None:
            found["errors"] = asdict(self.errors)
        return found


def _head(summary: Summary) -> str:
    one = summary.evaluation
    left_out = ", ".join(name for name, objects in one.objects.items() if not objects)
    lines = [
        f"{summary.predictions}: {count(len(one.detections.scores), 'detection')}",
        f"{one.ground_truth.name}: {count(one.truth.images, 'image')}, {count(len(one.truth.labels), 'object')}, "
        f"{int(one.truth.difficult.sum()):,} difficult or crowds",
    ]
    if left_out:
        lines.append(f"without an object to find, left out of the means: {left_out}")
    return "\n".join(lines)


def _coco(numbers: Mapping[str, float]) -> str:
    return "COCO\n" + "\n".join(f"{name:6}{value:6.2f}" for name, value in numbers.items())


def _voc(one: Evaluation, intervals: Intervals | None) -> str:
    """A line for the mean, each class and each size; intervals of AP50 beside mean and classes."""
    found = one.scores
    lines: list[Line] = [["mean", found.ap50, found.ap75, found.ap, sum(one.objects.values())]]
    for name, ap50 in found.ap50_per_class.items():
        lines.append([name, ap50, found.ap75_per_class[name], found.ap_per_class[name], one.objects[name]])
    head = ["", *_TITLES.values(), "objects"]
    below = ""
    if intervals is not None:
        head.append("95% of AP50")
        intervals_of = {"mean": intervals.overall["ap50"]} | dict(intervals.ap50_per_class)
        for line in lines:
            line.append(between(intervals_of[str(line[0])]))
        shown = ", ".join(f"{_TITLES[name]} {between(intervals.overall[name])}" for name in HEADLINES)
        below = f"\n95% intervals from {intervals.resamples} resamples of the images: {shown}"
    lines += [[_size(name), size.ap50, size.ap75, size.ap, size.objects] for name, size in found.per_size.items()]
    return f"{one.semantics.name}, {one.rule}\n{columns(head, lines)}{below}"


def _side_by_side(rows: Sequence[Row]) -> str:
    """A line for each evaluator, with both rules."""
    lines: dict[str, Line] = {}
    for row in rows:
        line = lines.setdefault(row.name, [row.name])
        line += [f"{row.ap50:.2f}{'*' if row.own else ' '}", row.ap75, row.ap]
    head = ["same detections by", "11p. AP50 ", "AP75", "AP", "area AP50 ", "AP75", "AP"]
    below = "* what the program computes for VOC 2007 unless told otherwise; COCO's rule has 101 points"
    return f"{columns(head, list(lines.values()))}\n{below}"


def _errors(split: ErrorSplit) -> str:
    kinds = [(field.name, value) for field in fields(split) if isinstance(value := getattr(split, field.name), Error)]
    lines: list[Line] = [[name.replace("_", " "), kind.count, f"{kind.gain:+.2f}"] for name, kind in kinds]
    title = f"errors at IoU {split.iou:g} (background to {BACKGROUND:g}), and what AP would gain without them"
    return f"{title}: AP {split.ap:.2f}\n{columns(['', 'count', 'gain'], lines)}"


def _size(name: str) -> str:
    low, high = (round(area**0.5) if area < float("inf") else None for area in SIZES[name])
    return f"{name} (from {low}^2)" if high is None else f"{name} (below {high}^2)"
