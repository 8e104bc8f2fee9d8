"""What is known of every single image, as a flat dict: for a table of hits and failures.

Keys, in this order (MARK is fixed, selected, best, as in Measure; `selected` only where there is another split):
- image, width, height, map_width, map_height: id and sizes in pixels; right_top1, right_top5: None: class not known;
- with boxes: peak_threshold, peak_iou: where the largest component's box is best, the lowest such end of a run;
  MARK_threshold, MARK_x0, MARK_y0, MARK_x1, MARK_y1, MARK_iou: the largest component's box at the threshold of
  gt_known_loc, in pixels of the image, half-open, and its IoU; MARK_<measure>: whether it is hit, for every measure but
  max_box_acc_v2, each at its own threshold;
- with masks: pxap, its own average precision in percent (None without a pixel of an object); MARK_mask_iou: fraction.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.localization import pixels
from eval.localization.gather import criteria
from eval.localization.measures import Measure
from eval.localization.part import Part
from eval.localization.settings import Settings

if TYPE_CHECKING:
    from eval.localization.report import Report

Row = dict[str, str | int | float | bool | None]
_Columns = dict[str, list[Any]]
_LOC = "gt_known_loc"
_CLASS = {"top1_loc": 0, "top5_loc": 1}


def rows(report: "Report") -> Iterator[Row]:
    """One row for each image that was evaluated, in the order of the parts; reads them once."""
    measures = {name: _marks(found) for name, found in report.measures.items() if found.best.threshold is not None}
    for part in report.parts():
        if not part.ids:
            continue
        columns = _common(part)
        if len(part.largest):
            columns |= _boxes(part, measures, report.settings)
        if report.pixels is not None:
            columns |= _masks(part, _marks(report.pixels.iou), report.pixels.thresholds)
        for values in zip(*columns.values(), strict=True):
            yield dict(zip(columns, values, strict=True))


def _marks(found: Measure) -> dict[str, float]:
    """The threshold of each mark that there is."""
    some = {"fixed": found.fixed, "selected": found.selected, "best": found.best}
    return {mark: at.threshold for mark, at in some.items() if at is not None and at.threshold is not None}


def _common(part: Part) -> _Columns:
    first, five = (
        [bool(right) if known else None for right, known in zip(part.right[:, place], part.ranks >= least, strict=True)]
        for place, least in ((0, 1), (1, 5))
    )
    return {
        "image": list(part.ids),
        "width": part.sizes[:, 0].tolist(),
        "height": part.sizes[:, 1].tolist(),
        "map_width": part.shapes[:, 1].tolist(),
        "map_height": part.shapes[:, 0].tolist(),
        "right_top1": first,
        "right_top5": five,
    }


def _boxes(part: Part, measures: Mapping[str, Mapping[str, float]], settings: Settings) -> _Columns:
    found = _peaks(part)
    asked = criteria(settings)
    hits = {name: criterion.hits(part.largest, part.any) for name, criterion in asked.items()}
    hits |= {name: hits[_LOC].among(part.right[:, place]) for name, place in _CLASS.items()}
    for mark, threshold in measures[_LOC].items():
        places = part.largest.at(threshold)
        boxes = _to_image(part, part.largest.boxes[places])
        found[f"{mark}_threshold"] = [threshold] * len(places)
        found |= {f"{mark}_{name}": boxes[:, column].tolist() for column, name in enumerate(("x0", "y0", "x1", "y1"))}
        found[f"{mark}_iou"] = part.largest.iou[places].tolist()
        found |= {f"{mark}_{name}": hits[name].at(marks[mark]).tolist() for name, marks in measures.items()}
    return found


def _peaks(part: Part) -> _Columns:
    runs = part.largest
    image = np.repeat(np.arange(len(runs)), np.diff(runs.offsets))
    possible = runs.ends >= 0  # a run that ends below holds for no threshold from 0 to 1
    order = np.lexsort((runs.ends, -np.where(possible, runs.iou, -1.0), image))
    first = order[runs.offsets[:-1]]  # the runs of an image stay where they were, in another order
    return {"peak_threshold": np.minimum(runs.ends[first], 1.0).tolist(), "peak_iou": runs.iou[first].tolist()}


def _to_image(part: Part, boxes: np.ndarray) -> np.ndarray:
    """[N, 4] map pixels to image pixels."""
    from eval.localization.trace import to_image  # numba

    found = np.empty((len(boxes), 4))
    for place, box in enumerate(boxes.astype(np.float64)):
        shape = int(part.shapes[place, 0]), int(part.shapes[place, 1])
        x0, y0, x1, y1 = part.windows[place].tolist()
        size = int(part.sizes[place, 0]), int(part.sizes[place, 1])
        found[place] = to_image(box[None], shape, (x0, y0, x1, y1), size)[0]
    return found


def _masks(part: Part, marks: Mapping[str, float], thresholds: np.ndarray) -> _Columns:
    inside, outside = part.inside.astype(np.float64), part.outside.astype(np.float64)
    there = inside.sum(axis=1) > 0
    own = pixels.average_precision(inside, outside)
    found: _Columns = {"pxap": [float(value) if known else None for value, known in zip(own, there, strict=True)]}
    iou = pixels.curve(inside, outside)[2]
    return found | {
        f"{mark}_mask_iou": iou[:, int(np.searchsorted(thresholds, threshold))].tolist()
        for mark, threshold in marks.items()
    }
