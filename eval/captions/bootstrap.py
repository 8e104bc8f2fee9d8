"""Intervals of caption metrics: images are drawn with replacement, as many as there are.

The percentiles 2.5 and 97.5 of each number over the resamples (Efron and Tibshirani 1993, chapter 13), in percent.
`CaptionScores.resampled` says what each number is made of in a resample. Two sets of captions are compared in the same
resamples (Koehn, EMNLP 2004: paired bootstrap resampling).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from eval.captions.scores import CaptionScores
from eval.difference import Difference
from eval.errors import EvalError
from eval.localization.bootstrap import Bootstrap, Interval, interval

PERCENT = 100.0
"""What papers print for a fraction, and for CIDEr's number too."""


@dataclass(frozen=True)
class Intervals:
    """95% over images, in percent."""

    resamples: int
    seed: int
    values: Mapping[str, Interval]
    """By the keys of `CaptionScores.values`."""


def intervals(scores: CaptionScores, resamples: int = 1000, seed: int = 0) -> Intervals:
    """Of every number of the scores; the same seed draws the same images for any scores of as many."""
    drawn = Bootstrap(len(scores.images), resamples, seed).weights
    found = {key: interval(PERCENT * each) for key, each in scores.resampled(drawn).items()}
    return Intervals(resamples, seed, found)


def differences(
    scores: CaptionScores, other: CaptionScores, resamples: int = 1000, seed: int = 0
) -> dict[str, Difference]:
    """These scores minus others of the same images, in the same resamples: by the keys of `CaptionScores.values`.

    Raises:
        EvalError: they are not of the same images in the same order, or not of the same metrics.
    """
    if scores.images != other.images:
        raise EvalError(
            f"a paired difference is of the same images in the same order; got {len(scores.images)} and "
            f"{len(other.images)} images, {len(set(scores.images) & set(other.images))} of them in both"
        )
    if scores.values.keys() != other.values.keys():
        raise EvalError(f"a difference of other metrics: {', '.join(scores.values)}, and {', '.join(other.values)}")
    drawn = Bootstrap(len(scores.images), resamples, seed).weights
    mine, others = scores.resampled(drawn), other.resampled(drawn)
    return {
        key: Difference.of((PERCENT * value, PERCENT * other.values[key]), (PERCENT * mine[key], PERCENT * others[key]))
        for key, value in scores.values.items()
    }
