"""At which thresholds an image is hit, and the accuracy of many images at every threshold, exactly.

An image is hit on a few intervals of the threshold, `low < t <= high`. The share of images that are hit is then a step
function that changes only at the ends of these intervals, so sorting them gives its maximum over *all* thresholds from
0 to 1, not only over those of a grid.

Letters: N images, R runs, K intervals of all images together, T thresholds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.localization.runs import Runs


@dataclass(frozen=True, eq=False)
class Hits:
    """Where N images are hit: intervals, none of an image overlapping another of it."""

    images: int
    """N."""
    image: np.ndarray
    """[K] int32: the image of an interval."""
    low: np.ndarray
    """[K] float64: not inside; -inf where the image is hit from threshold 0 on."""
    high: np.ndarray
    """[K] float64: inside; at most 1."""

    def at(self, threshold: float) -> np.ndarray:
        """Which images are hit at a threshold: [N] bool."""
        hit = np.zeros(self.images, bool)
        hit[self.image[(self.low < threshold) & (threshold <= self.high)]] = True
        return hit

    def counts(self, thresholds: np.ndarray) -> np.ndarray:
        """How many images are hit at each threshold: [T] int64."""
        begun = np.searchsorted(np.sort(self.low), thresholds, side="left")
        over = np.searchsorted(np.sort(self.high), thresholds, side="left")
        return np.asarray(begun - over)

    def ends(self) -> np.ndarray:
        """Where an image begins or ceases to be hit, and 1, each as often as that happens: [at most 2 K + 1]."""
        return np.concatenate([self.low[self.low >= 0], self.high, [1.0]])

    def best(self, thresholds: np.ndarray | None = None) -> tuple[float, int]:
        """The threshold at which the most images are hit, and how many.

        Of all thresholds from 0 to 1 (None): the upper end of the lowest piece of equal accuracy that is best. Of the
        given ones, ascending: the lowest that is best.
        """
        if thresholds is None:
            thresholds = np.unique(self.ends())
        counts = self.counts(thresholds)
        place = int(np.argmax(counts))
        return float(thresholds[place]), int(counts[place])

    def among(self, allowed: np.ndarray) -> "Hits":
        """Hits of these images alone ([N] bool); the others are never hit."""
        kept = allowed[self.image]
        return Hits(self.images, self.image[kept], self.low[kept], self.high[kept])


def hits(runs: Runs, passed: np.ndarray) -> Hits:
    """The intervals on which the runs that pass ([R] bool) hold; what lies beyond thresholds 0 to 1 is left out."""
    first, last = np.zeros(len(passed), bool), np.zeros(len(passed), bool)
    first[runs.offsets[:-1]] = True
    last[runs.offsets[1:] - 1] = True
    starts = np.flatnonzero(passed & (first | ~np.roll(passed, 1)))
    stops = np.flatnonzero(passed & (last | ~np.roll(passed, -1)))
    low = np.where(first[starts], -np.inf, runs.ends[starts - 1])
    low[low < 0] = -np.inf
    high = np.minimum(runs.ends[stops], 1.0)
    image = np.searchsorted(runs.offsets, starts, side="right").astype(np.int32) - 1
    kept = (high >= 0) & (low < high)
    return Hits(len(runs), image[kept].astype(np.int32), low[kept], high[kept])


def join_hits(parts: Sequence[Hits]) -> Hits:
    """The hits of all images of several parts, in their order."""
    starts = np.cumsum([0, *(part.images for part in parts)])
    images = [part.image + np.int32(start) for part, start in zip(parts, starts[:-1], strict=True)]
    empty = np.empty(0)
    return Hits(
        int(starts[-1]),
        np.concatenate([np.empty(0, np.int32), *images]).astype(np.int32),
        np.concatenate([empty, *(part.low for part in parts)]),
        np.concatenate([empty, *(part.high for part in parts)]),
    )
