"""Intervals of 95%: images are drawn with replacement, as many as there are, and the percentiles 2.5 and 97.5 taken.

Fixed and selected thresholds are held; a best threshold is chosen anew in every resample, among those of the bootstrap
grid (`measures.Thresholds`), and so is the side of the centre box.

Efron and Tibshirani 1993, chapter 13 (the percentile interval). Letters: N images, R resamples, K intervals of hits, T
thresholds, S sides of the centre box.
"""

import numpy as np

from eval.localization.accuracy import Hits

Interval = tuple[float, float]
_AT_ONCE = 50


class Bootstrap:
    """The resamples of one set of images; the same for everything that is asked of it."""

    def __init__(self, images: int, resamples: int, seed: int) -> None:
        """Draw them: one byte for each image and resample."""
        self.weights = np.empty((images, resamples), np.uint8)
        """[N, R]: how often an image was drawn."""
        random = np.random.default_rng(seed)
        for start in range(0, resamples, _AT_ONCE):
            block = self.weights[:, start : start + _AT_ONCE]
            draws = [np.bincount(random.integers(0, images, images), minlength=images) for _ in range(block.shape[1])]
            block[:] = np.minimum(np.stack(draws, axis=1), 255)

    def accuracy(self, hit: np.ndarray) -> np.ndarray:
        """Percent of images that are hit ([N] bool), in every resample: [R] float64."""
        images = np.flatnonzero(hit).astype(np.int32)
        once = np.ones(len(images), np.int32)
        return self._percent(self._counts(images, np.zeros(len(images), np.int64), once, 1)[0])

    def sides(self, hit: np.ndarray) -> np.ndarray:
        """Percent of images that are hit by a box of each side ([N, S] bool), in every resample: [S, R] float64."""
        changes = np.diff(hit.astype(np.int8), axis=1, prepend=np.int8(0))  # few: a box is hit from one side to another
        images, places = np.nonzero(changes)
        signs = changes[images, places].astype(np.int32)
        return self._percent(self._counts(images.astype(np.int32), places, signs, hit.shape[1]))

    def best(self, hits: Hits, thresholds: np.ndarray) -> np.ndarray:
        """The highest accuracy at any of the thresholds ([T], ascending), in every resample: [R] float64, percent."""
        images = np.concatenate([hits.image, hits.image])
        places = np.searchsorted(thresholds, np.concatenate([hits.low, hits.high]), side="right")
        signs = np.repeat(np.array([1, -1], np.int32), len(hits.image))
        return self._percent(self._counts(images, places, signs, len(thresholds)).max(axis=0))

    def _counts(self, images: np.ndarray, places: np.ndarray, signs: np.ndarray, count: int) -> np.ndarray:
        """How many images are hit at each of `count` places, in every resample: [count, R] int32."""
        from eval.localization.tally import tally  # numba

        changes = tally(self.weights, images, places.astype(np.int64), signs, count)
        return np.cumsum(changes, axis=0, out=changes)

    def _percent(self, counts: np.ndarray) -> np.ndarray:
        return np.asarray(counts * (100.0 / len(self.weights)))


def interval(values: np.ndarray) -> Interval:
    """The percentiles 2.5 and 97.5 of a number in every resample [R]."""
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
