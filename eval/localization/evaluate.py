"""The evaluator from Python: score maps and annotations in, a report out."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from eval.errors import EvalError
from eval.localization.gather import criteria
from eval.localization.part import Examiner, Part
from eval.localization.report import Report, report
from eval.localization.settings import Settings
from eval.localization.truth import ScoreMap, Truth

_PART = 256

Maps = Iterable[ScoreMap | tuple[str, np.ndarray]] | Mapping[str, np.ndarray]
Truths = Iterable[Truth] | Mapping[str, Truth]


def evaluate(
    maps: Maps,
    truths: Truths,
    settings: Settings | None = None,
    *,
    select: tuple[Maps, Truths] | None = None,
    skip_bad: bool = False,
    resamples: int = 1000,
    seed: int = 0,
) -> Report:
    """How well score maps localise: GT-known, top-1 and top-5 Loc, MaxBoxAcc, MaxBoxAccV2, PxAP, peak IoU.

    Args:
        maps: ScoreMap, or (id, [H, W] uint8 or floats) for a map of the whole image; read one by one, none is kept.
            A dictionary of such arrays will do.
        truths: the annotations of exactly these images.
        settings: how maps become boxes; None: the defaults of Settings.
        select: maps and annotations of another split, which chooses thresholds (`Measure.selected`).
        skip_bad: leave out what cannot be evaluated, and list it in the report, instead of raising.
        resamples: of the bootstrap; 0: no intervals.
        seed: of the bootstrap.

    Raises:
        EvalError: names the images: without a map, without annotation, twice, or what `examine` refuses. Two IoUs have
            one name.
    """
    chosen = Settings() if settings is None else settings
    criteria(chosen)  # refused now rather than when all maps are traced
    parts = _parts(maps, truths, chosen, skip_bad)
    others = _parts(*select, chosen, skip_bad) if select is not None else None
    return report(
        lambda: iter(parts),
        chosen,
        select=None if others is None else lambda: iter(others),
        resamples=resamples,
        seed=seed,
    )


def _parts(maps: Maps, truths: Truths, settings: Settings, skip_bad: bool) -> list[Part]:
    known = _by_id(truths)
    examiner = Examiner(known, settings, skip_bad=skip_bad)
    every = maps.items() if isinstance(maps, Mapping) else maps
    source = (given if isinstance(given, ScoreMap) else ScoreMap(*given) for given in every)
    parts = [examiner(itertools.chain([first], itertools.islice(source, _PART - 1))) for first in source]
    missing = [name for name in known if name not in examiner.seen]
    if missing and not skip_bad:
        raise EvalError(
            f"{len(missing)} of {len(known)} images have no score map: {', '.join(missing[:10])}"
            f"{' ...' if len(missing) > 10 else ''}"
        )
    return [*parts, replace(examiner(()), skipped=tuple((name, "no score map") for name in missing))]


def _by_id(truths: Truths) -> Mapping[str, Truth]:
    if isinstance(truths, Mapping):
        other = [(name, truth.id) for name, truth in truths.items() if name != truth.id]
        if other:
            raise EvalError(f"{len(other)} annotations are given under other ids than theirs, the first {other[0]}")
        return truths
    known: dict[str, Truth] = {}
    for truth in truths:
        if truth.id in known:
            raise EvalError(f"{truth.id}: annotated twice")
        known[truth.id] = truth
    return known
