"""Accuracies, baselines and pixel scores at the fixed, the selected and the best threshold, with their intervals."""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from eval.errors import EvalError
from eval.localization import masks, pixels
from eval.localization.accuracy import Hits
from eval.localization.bootstrap import Bootstrap, interval
from eval.localization.gather import Criterion, Gathered, Parts, criteria
from eval.localization.settings import Settings

V2 = "max_box_acc_v2"
_LOC = "gt_known_loc"
_STEPS = 1000


@dataclass(frozen=True)
class At:
    """A number in percent."""

    value: float
    threshold: float | None = None
    """Where it was taken: a fraction of the scale (the centre box: of the image's sides); None: nowhere in particular,
    or a mean of several."""
    interval: tuple[float, float] | None = None
    """95%, by bootstrap over images; None: not asked for."""


@dataclass(frozen=True)
class Measure:
    """One measure at three thresholds."""

    fixed: At
    selected: At | None
    """At the threshold that is best on the other split; None where there is no other."""
    best: At
    """At the threshold that is best on this split: what the test set itself chose."""


@dataclass(frozen=True, eq=False)
class PixelScores:
    """Of masks. Letters: K thresholds."""

    pxap: At
    iou: Measure
    """IoU of the pooled mask; `best` is the peak IoU."""
    thresholds: np.ndarray
    """[K] ascending, the first -inf in corrected (masks.py); the curves are in their order."""
    precision: np.ndarray
    """[K] fraction."""
    recall: np.ndarray
    """[K] fraction."""
    iou_curve: np.ndarray
    """[K] fraction."""

    def as_dict(self) -> dict[str, Any]:
        """The numbers without the curves."""
        return {"pxap": asdict(self.pxap), "iou": asdict(self.iou)}


class Thresholds(NamedTuple):
    """The thresholds that accuracies are asked for at."""

    fixed: float
    candidates: np.ndarray | None
    """What the best one is chosen from; None: all from 0 to 1."""
    curve_grid: np.ndarray
    """[T] of the curves."""
    bootstrap_grid: np.ndarray
    """What a resample's best one is chosen from, beside those of `resampled`."""

    @classmethod
    def of(cls, settings: Settings) -> "Thresholds":
        """Those of the settings; compat takes a fixed threshold that its grid holds but for rounding as the grid's."""
        even = np.arange(_STEPS + 1) / _STEPS
        if settings.geometry == "corrected":
            return cls(settings.threshold, None, even, even)
        assert settings.levels != "exact"
        grid = np.arange(0, 1, 1 / settings.levels)
        near = float(grid[np.argmin(np.abs(grid - settings.threshold))])
        fixed = near if abs(near - settings.threshold) < 1e-9 else settings.threshold
        return cls(fixed, grid, grid, grid if len(grid) <= _STEPS else grid[:: -(-len(grid) // _STEPS)])

    def resampled(self, hits: Hits, best: float) -> np.ndarray:
        """What a resample's best threshold is chosen from: [T] ascending.

        The bootstrap grid, the best one of all images, and where hits begin or end: all such places if they are at most
        1000, else evenly some of them. So there are many where much changes, however close to 0 that is.
        """
        ends = hits.ends()
        if self.candidates is not None:
            ends = ends[np.isin(ends, self.candidates)]
        places = np.unique(ends)
        if len(places) > _STEPS:
            places = np.sort(ends)[np.linspace(0, len(ends) - 1, _STEPS).astype(np.int64)]
        return np.unique(np.concatenate([self.bootstrap_grid, places, [best]]))


class Found(NamedTuple):
    """What `measure` gives."""

    measures: dict[str, Measure]
    baselines: dict[str, dict[str, At]]
    pixels: PixelScores | None


class _Value(NamedTuple):
    """A number before it is shown: percent, where, and the same in every resample [R] (None: no bootstrap)."""

    value: float
    threshold: float | None
    drawn: np.ndarray | None

    def at(self) -> At:
        return At(self.value, self.threshold, None if self.drawn is None else interval(self.drawn))


def measure(
    parts: Parts,
    here: Gathered,
    other: Gathered | None,
    asked: Thresholds,
    settings: Settings,
    resamples: int,
    seed: int,
) -> Found:
    """All measures of one split, with thresholds that another one chooses. Arguments as for `report`."""
    drawn = Bootstrap(here.images, resamples, seed) if resamples else None
    if other is not None and missing(here, other):
        raise EvalError(f"the split that selects thresholds has no {missing(here, other)}, which the other one has")
    base: dict[str, dict[str, At]] = {}
    if here.hits:
        base |= _box_baselines(here, other, settings, drawn)
    scores = None
    if here.pool is not None:
        scores, gaussian = _pixels(parts, here, other, asked, settings, drawn)
        base["centre_gaussian"] = {"pxap": gaussian}
    return Found(_boxes(here, other, asked, drawn), base, scores)


def missing(here: Gathered, other: Gathered) -> str | None:
    """What the split that selects lacks: boxes or masks."""
    if here.hits and not other.hits:
        return "boxes"
    return "masks" if here.pool is not None and other.pool is None else None


def _boxes(here: Gathered, other: Gathered | None, asked: Thresholds, drawn: Bootstrap | None) -> dict[str, Measure]:
    if not here.hits:
        return {}
    chosen = {} if other is None else {name: hits.best(asked.candidates)[0] for name, hits in other.hits.items()}
    fixed = {name: _accuracy(hits, asked.fixed, drawn) for name, hits in here.hits.items()}
    selected = {
        name: _accuracy(hits, chosen[_LOC if name in here.right else name], drawn)
        for name, hits in here.hits.items()
        if chosen
    }
    best = {name: _best(hits, asked, drawn) for name, hits in here.hits.items()}
    for values in (fixed, best, *([selected] if chosen else [])):
        three = [values[name] for name in values if name.startswith(f"{V2}_")]
        values[V2] = _mean(three, asked.fixed if values is fixed else None)
    order = [_LOC, *here.right, *(name for name in here.hits if name != _LOC and name not in here.right), V2]
    return {name: Measure(fixed[name].at(), selected[name].at() if chosen else None, best[name].at()) for name in order}


def _accuracy(hits: Hits, threshold: float, drawn: Bootstrap | None) -> _Value:
    hit = hits.at(threshold)
    return _Value(100.0 * int(hit.sum()) / hits.images, threshold, None if drawn is None else drawn.accuracy(hit))


def _best(hits: Hits, asked: Thresholds, drawn: Bootstrap | None) -> _Value:
    threshold, count = hits.best(asked.candidates)
    again = None if drawn is None else drawn.best(hits, asked.resampled(hits, threshold))
    return _Value(100.0 * count / hits.images, threshold, again)


def _mean(values: list[_Value], threshold: float | None) -> _Value:
    drawn = [value.drawn for value in values if value.drawn is not None]
    return _Value(
        float(np.mean([value.value for value in values])), threshold, np.mean(drawn, axis=0) if drawn else None
    )


def _box_baselines(
    here: Gathered, other: Gathered | None, settings: Settings, drawn: Bootstrap | None
) -> dict[str, dict[str, At]]:
    """A box is one component, so V2 asks the same of it as V1."""
    asked: dict[str, tuple[Criterion, np.ndarray | None]] = {}
    for name, criterion in criteria(settings).items():
        asked[name] = (criterion, None)
        if name == _LOC:
            asked |= {loc: (criterion, right) for loc, right in here.right.items()}
    whole: dict[str, _Value] = {}
    centre: dict[str, _Value] = {}
    for name, (criterion, right) in asked.items():
        hit = criterion.of(here.whole_iou) if right is None else criterion.of(here.whole_iou) & right
        again = None if drawn is None else drawn.accuracy(hit)
        whole[name] = _Value(100.0 * int(hit.sum()) / here.images, None, again)
        centre[name] = _centre_box(here, other, criterion, right, drawn)
    for values in (whole, centre):
        values[V2] = _mean([values[name] for name in values if name.startswith(f"{V2}_")], None)
    return {
        "whole_image": {name: value.at() for name, value in whole.items()},
        "centre_box": {name: value.at() for name, value in centre.items()},
    }


def _centre_box(
    here: Gathered, other: Gathered | None, criterion: Criterion, right: np.ndarray | None, drawn: Bootstrap | None
) -> _Value:
    """The box of the side that is best by IoU: on the other split, else here, and then in every resample anew."""
    enough = criterion.of(here.centre_iou)  # [N, S]
    side = int(np.argmax((enough if other is None else criterion.of(other.centre_iou)).sum(axis=0)))
    hit = enough if right is None else enough & right[:, None]
    again = None
    if drawn is not None and other is not None:
        again = drawn.accuracy(hit[:, side])
    elif drawn is not None:
        all_sides = drawn.sides(enough)  # [S, R]
        chosen = all_sides.argmax(axis=0)[None]
        again = np.take_along_axis(all_sides if right is None else drawn.sides(hit), chosen, axis=0)[0]
    return _Value(100.0 * int(hit[:, side].sum()) / here.images, (side + 1) / enough.shape[1], again)


def _pixels(
    parts: Parts,
    here: Gathered,
    other: Gathered | None,
    asked: Thresholds,
    settings: Settings,
    drawn: Bootstrap | None,
) -> tuple[PixelScores, At]:
    assert here.pool is not None
    here.pool.check()
    ends = masks.thresholds(settings)
    sums = here.pool.sums
    precision, recall, iou = pixels.curve(sums["inside"], sums["outside"])
    many = None if drawn is None else pixels.resampled(parts(), drawn.weights)
    curves = None if many is None else 100.0 * pixels.curve(many["inside"], many["outside"])[2]  # [R, K]
    proper = np.flatnonzero((ends >= 0) & (ends <= 1))

    def taken(place: int) -> At:
        return _Value(100.0 * float(iou[place]), float(ends[place]), None if curves is None else curves[:, place]).at()

    def peak(values: np.ndarray) -> int:
        return int(proper[np.argmax(values[proper])])

    selected = None
    if other is not None and other.pool is not None:
        other.pool.check()
        selected = taken(peak(pixels.curve(other.pool.sums["inside"], other.pool.sums["outside"])[2]))
    best = _Value(
        100.0 * float(iou[peak(iou)]), float(ends[peak(iou)]), None if curves is None else curves[:, proper].max(axis=1)
    )
    fixed = taken(int(np.searchsorted(ends, asked.fixed)))
    ap, gaussian = (_average_precision(sums, many, prefix) for prefix in ("", "centre_"))
    return PixelScores(ap, Measure(fixed, selected, best.at()), ends, precision, recall, iou), gaussian


def _average_precision(sums: dict[str, np.ndarray], many: dict[str, np.ndarray] | None, prefix: str) -> At:
    names = f"{prefix}inside", f"{prefix}outside"
    drawn = None if many is None else pixels.average_precision(many[names[0]], many[names[1]])
    return _Value(float(pixels.average_precision(sums[names[0]], sums[names[1]])), None, drawn).at()
