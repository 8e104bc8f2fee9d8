"""The numbers of an evaluation, from its parts.

| measure | hit where |
|---|---|
| gt_known_loc | IoU of the largest component's box > `loc_iou` (Zhou et al. 2016; Yun et al. 2019, section 4.2) |
| top1_loc, top5_loc | and the class is the classifier's first, or among its first five |
| max_box_acc_30, _50, _70 | IoU of the largest component's box >= .3, .5, .7 (Choe et al. 2020; MaxBoxAcc is _50) |
| max_box_acc_v2_30, ... | IoU of any component's box >= .3, .5, .7 (Choe et al. 2020, arXiv v3, section 4) |
| max_box_acc_v2 | the mean of these, each at its own threshold |

Of several ground-truth boxes the best one counts. The best threshold is the best of *all* from 0 to 1 (corrected; the
upper end of the lowest piece of equal accuracy), or the lowest best one of 0, 1 / levels, ... (compat).
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from eval.localization.gather import Parts, gather
from eval.localization.measures import At, Measure, PixelScores, Thresholds, measure
from eval.localization.rows import Row, rows
from eval.localization.settings import Settings


@dataclass(frozen=True, eq=False)
class Report:
    """What is known of the score maps' localization. Numbers in percent; T thresholds, B bins."""

    settings: Settings
    images: int
    """How many were evaluated."""
    measures: dict[str, Measure]
    """By name, as in the module's table; empty without boxes, without the class's where one image's is not known."""
    baselines: dict[str, dict[str, At]]
    """`whole_image` and `centre_box` (a threshold is its side, as a share of the image's: the best for each measure, of
    the other split where there is one), by measure; `centre_gaussian`, with `pxap` alone."""
    pixels: PixelScores | None
    """None without masks."""
    thresholds: np.ndarray
    """[T] float64, ascending: where the curves are given."""
    curves: dict[str, np.ndarray]
    """[T] accuracy by measure; of all but max_box_acc_v2."""
    iou_edges: np.ndarray
    """[B + 1]."""
    iou_histogram: np.ndarray
    """[B] images by the IoU of the largest component's box at the fixed threshold."""
    skipped: tuple[tuple[str, str], ...]
    """Ids of images that were left out, and why; of the other split as well, after its own."""
    notes: tuple[str, ...]
    """What a reader should know of the maps."""
    resamples: int
    seed: int
    parts: Parts = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it: all but the parts; curves at 101 thresholds at most."""
        few = slice(None, None, -(-len(self.thresholds) // 101))
        return {
            "settings": asdict(self.settings),
            "images": self.images,
            "measures": {name: asdict(value) for name, value in self.measures.items()},
            "baselines": {
                name: {key: asdict(value) for key, value in values.items()} for name, values in self.baselines.items()
            },
            "pixels": None if self.pixels is None else self.pixels.as_dict(),
            "curves": {
                "thresholds": self.thresholds[few].tolist(),
                **{name: curve[few].tolist() for name, curve in self.curves.items()},
            },
            "iou_histogram": {"edges": self.iou_edges.tolist(), "images": self.iou_histogram.tolist()},
            "skipped": [{"id": name, "why": why} for name, why in self.skipped],
            "notes": list(self.notes),
            "resamples": self.resamples,
            "seed": self.seed,
        }

    def rows(self) -> Iterator[Row]:
        """One dict for each image, all with the same keys; reads the parts once more. Keys: rows.py."""
        return rows(self)


def report(
    parts: Parts, settings: Settings, *, select: Parts | None = None, resamples: int = 1000, seed: int = 0
) -> Report:
    """Everything that can be said of the parts of an evaluation.

    Args:
        parts: gives the parts from the first, each time it is called; they are read once, for masks twice.
        settings: those that the parts were examined with.
        select: the parts of another split, which chooses thresholds.
        resamples: of the bootstrap; 0: no intervals.
        seed: of the bootstrap.

    Raises:
        EvalError: no image, one in two parts, or parts of which some have boxes or masks and others have not.
    """
    asked = Thresholds.of(settings)
    here = gather(parts, settings, asked.fixed)
    other = None if select is None else gather(select, settings, asked.fixed)
    found = measure(parts, here, other, asked, settings, resamples, seed)
    notes = here.notes if other is None else (*here.notes, *(f"the other split: {note}" for note in other.notes))
    return Report(
        settings=settings,
        images=here.images,
        measures=found.measures,
        baselines=found.baselines,
        pixels=found.pixels,
        thresholds=asked.curve_grid,
        curves={name: hits.counts(asked.curve_grid) * (100.0 / here.images) for name, hits in here.hits.items()},
        iou_edges=np.linspace(0, 1, len(here.iou_histogram) + 1),
        iou_histogram=here.iou_histogram,
        skipped=(*here.skipped, *(() if other is None else other.skipped)),
        notes=notes,
        resamples=resamples,
        seed=seed,
        parts=parts,
    )
