"""One split's parts, read once, and what the report needs of every image: some hundred numbers, no maps and no runs.

Letters: N images, S sides of the centre box, K thresholds of pixels, B bins of IoU.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from eval.errors import EvalError
from eval.localization.accuracy import Hits, hits, join_hits
from eval.localization.part import Part
from eval.localization.pixels import Pool
from eval.localization.runs import Runs
from eval.localization.settings import WSOLEVALUATION_SIDE, Settings

Parts = Callable[[], Iterator[Part]]
"""The parts of an evaluation, each time anew."""
BINS = 50
"""B: of the histogram of IoU."""


class Criterion(NamedTuple):
    """When an image is hit: the largest component's box or any one's, IoU above (strict) or at least so much."""

    any: bool
    iou: float
    strict: bool

    def of(self, iou: np.ndarray) -> np.ndarray:
        """Which IoUs are enough, as bool."""
        return np.asarray(iou > self.iou if self.strict else iou >= self.iou)

    def hits(self, largest: Runs, any_component: Runs) -> Hits:
        """Where the images of these runs are hit."""
        runs = any_component if self.any else largest
        return hits(runs, self.of(runs.iou))


def criteria(settings: Settings) -> dict[str, Criterion]:
    """The measures of boxes that are not made from others, by name.

    EvalError: two of the IoUs have one name, as .5 and .50000001 do.
    """
    names = [f"{100 * iou:g}" for iou in settings.ious]
    if len(set(names)) < len(names):
        raise EvalError(f"ious {settings.ious}: two of them would both be called {max(names, key=names.count)}")
    found = {"gt_known_loc": Criterion(False, settings.loc_iou, True)}
    for prefix, component in (("max_box_acc", False), ("max_box_acc_v2", True)):
        some = zip(names, settings.ious, strict=True)
        found |= {f"{prefix}_{name}": Criterion(component, iou, False) for name, iou in some}
    return found


@dataclass(frozen=True, eq=False)
class Gathered:
    """What remains of one split."""

    images: int
    """N."""
    hits: dict[str, Hits]
    """By measure; empty without boxes."""
    right: dict[str, np.ndarray]
    """The measures that ask for the class as well, [N] bool each: where it is right."""
    whole_iou: np.ndarray
    """[N]."""
    centre_iou: np.ndarray
    """[N, S]."""
    iou_histogram: np.ndarray
    """[B] images by the IoU of the largest component at the fixed threshold."""
    pool: Pool | None
    """Pixels of all images together; None without masks."""
    skipped: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def gather(parts: Parts, settings: Settings, fixed: float) -> Gathered:
    """Read the parts of a split once.

    Raises:
        EvalError: an image in two parts; boxes or masks in some parts only; no image at all.
    """
    asked = criteria(settings)
    found: dict[str, list[Hits]] = {name: [] for name in asked}
    kept: dict[str, list[np.ndarray]] = {name: [] for name in ("right", "whole_iou", "centre_iou")}
    histogram, pool = np.zeros(BINS, np.int64), Pool()
    tally = _Tally()
    for part in parts():
        tally.add(part)
        if not part.ids:
            continue
        for name, criterion in asked.items():
            found[name].append(criterion.hits(part.largest, part.any))
        for name, arrays in kept.items():
            arrays.append(getattr(part, name))
        histogram += np.histogram(part.largest.iou[part.largest.at(fixed)], BINS, (0, 1))[0]
        pool.add(part)
    tally.check()
    right = np.concatenate(kept["right"])
    known = {"top1_loc": right[:, 0]} if tally.ranks else {}  # of an image the class of which is not known: neither
    known |= {"top5_loc": right[:, 1]} if tally.ranks >= 5 else {}
    joined = {name: join_hits(some) for name, some in found.items()} if tally.boxes else {}
    if tally.boxes:
        joined |= {name: joined["gt_known_loc"].among(allowed) for name, allowed in known.items()}
    return Gathered(
        images=len(tally.ids),
        hits=joined,
        right=known,
        whole_iou=np.concatenate(kept["whole_iou"]),
        centre_iou=np.concatenate(kept["centre_iou"]),
        iou_histogram=histogram,
        pool=pool if tally.masks else None,
        skipped=tuple(tally.skipped),
        notes=tuple(tally.notes(settings)),
    )


class _Tally:
    """What all parts have in common, or what must not repeat in them."""

    def __init__(self) -> None:
        self.ids = set[str]()
        self.boxes = self.masks = False
        self.ranks = 0
        """How many ranked classes every image has."""
        self.unranked: list[str] = []
        self.skipped: list[tuple[str, str]] = []
        self.silent: list[str] = []
        self.other_sizes = 0
        """Maps that are not of wsolevaluation's size."""
        self.shifted = 0

    def add(self, part: Part) -> None:
        self.skipped += part.skipped
        if not part.ids:
            return
        twice = [name for name in part.ids if name in self.ids]
        if twice:
            raise EvalError(f"{twice[0]}: a second score map of the same image, {len(twice)} such in one part")
        boxes, masks = len(part.largest) > 0, len(part.inside) > 0
        if self.ids and (boxes, masks) != (self.boxes, self.masks):
            raise EvalError(f"{part.ids[0]}: some images have boxes or masks, and others have not")
        least = int(part.ranks.min())
        self.ranks = min(self.ranks, least) if self.ids else least
        self.unranked += [part.ids[place] for place in np.flatnonzero(part.ranks == 0)]
        self.boxes, self.masks = boxes, masks
        self.ids.update(part.ids)
        self.silent += part.silent
        self.other_sizes += int((part.shapes != WSOLEVALUATION_SIDE).any(axis=1).sum())
        self.shifted += part.shifted

    def check(self) -> None:
        if not self.ids:
            left = ""
            if self.skipped:
                name, why = self.skipped[0]
                left = f"; {len(self.skipped)} were left out, the first: {name}: {why}"
            raise EvalError(f"no image to evaluate{left}")

    def notes(self, settings: Settings) -> Iterator[str]:
        if self.other_sizes and settings.geometry == "compat":
            yield (
                f"{self.other_sizes} of {len(self.ids)} maps are not of {WSOLEVALUATION_SIDE} x {WSOLEVALUATION_SIDE} "
                "pixels: wsolevaluation compares their boxes with annotations scaled to that size, so these numbers "
                "mean nothing"
            )
        if self.silent:
            low = {"corrected": "nowhere above 0", "compat": "below 1/255"}[settings.geometry]
            reason = f"constant, or {low}" if settings.scale == "max" else "constant"
            names = _some(self.silent)
            yield f"{len(self.silent)} of {len(self.ids)} maps say nothing of the place ({reason}): {names}"
        if self.shifted and settings.scale == "max" and settings.geometry == "corrected":
            yield (
                f"{self.shifted} of {len(self.ids)} maps have another minimum than 0, and scale max takes thresholds "
                "as fractions of the maximum all the same (what is below 0 is in no mask). MaxBoxAcc and MaxBoxAccV2 "
                "are defined on maps scaled from minimum to maximum: scale minmax"
            )
        if 0 < len(self.unranked) < len(self.ids):
            yield (
                f"no top-1 and top-5 Loc: label or predicted classes of {len(self.unranked)} of {len(self.ids)} images "
                f"are not known: {_some(self.unranked)}"
            )
        if 0 < self.ranks < 5:
            yield f"no top-5 Loc: {self.ranks} predicted classes are known, not five"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
