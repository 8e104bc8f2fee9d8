"""Average precision over resamples of the images, exact and without matching anew.

Images are drawn with replacement, as many as there are, and the percentiles 2.5 and 97.5 taken (Efron and Tibshirani
1993, chapter 13). Which object a detection finds depends on its own image alone, so that a resample needs no new
matching: an image that was drawn m times counts m times, in the numbers of objects and of detections that precision and
recall are made of. Copies of an image take their turns detection by detection: all copies of its first, then all of its
second. That matters only where two detections of one image and class have equal scores and one of them is right.

The precision of a resample is needed only at the detections that find an object: between two of them it can but fall.
Their running numbers of detections are sums of image counts over the stretch since the last of them.

Letters: D detections, K classes, T thresholds of IoU, N images, R resamples, M detections of a class that find an
object.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.detection.matching import Matches
from eval.detection.semantics import Rule
from eval.errors import EvalError
from eval.localization.bootstrap import Bootstrap

_CELLS = 1 << 23  # detections times resamples at once: some 40 MB


def weights(images: int, resamples: int, seed: int = 0) -> NDArray[np.uint8]:
    """How often each image is drawn in each resample: [N, R]; a column's sum is N."""
    return Bootstrap(images, resamples, seed).weights


def resampled(matches: Matches, weights: NDArray[np.uint8], rule: Rule) -> NDArray[np.float64]:
    """Average precision of every class at every threshold in every resample.

    Args:
        matches: of the whole set.
        weights: how often each image of the ground truth counts: [N, R].
        rule: as in `average_precision`.

    Returns:
        [K, T, R] fractions; NaN where the resample has no object of the class to find.
    """
    labels, images = matches.asked_by_image
    recalls = np.array(matches.semantics.recalls) if rule == "11 points" else None
    table = np.full((len(matches.asked), len(matches.right), weights.shape[1]), np.nan)
    for k in range(len(table)):
        objects = images[labels == k]
        if not objects.size:
            continue
        part = _Class.of(matches, k)
        wide = max(1, _CELLS // max(len(part.images), 1))
        for start in range(0, weights.shape[1], wide):
            block = np.ascontiguousarray(weights[:, start : start + wide])
            asked = block[objects].sum(axis=0, dtype=np.int64)
            for t, values in enumerate(part.average_precision(block, asked, recalls)):
                table[k, t, start : start + wide] = np.where(asked > 0, values, np.nan)
    return table


def mean(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Percent, mean over the classes that the resample has objects of: [K, T, R] -> [T, S].

    Resamples without any object, which a handful of images may have, are left out: S of R are not. EvalError: none.
    """
    table = table[:, :, ~np.isnan(table).all(axis=(0, 1))]
    if not table.size:
        raise EvalError("no resample has an object that is asked for: there is no interval")
    there = ~np.isnan(table)
    return np.asarray(100 * np.where(there, table, 0.0).sum(axis=0) / there.sum(axis=0))


@dataclass(frozen=True, eq=False)
class _Class:
    """The detections of a class, best first, down to the last that finds an object."""

    images: NDArray[np.int64]
    """[D]"""
    right: NDArray[np.bool_]
    """[T, D]"""
    counted: NDArray[np.bool_]
    """[T, D]"""

    @classmethod
    def of(cls, matches: Matches, label: int) -> "_Class":
        mine = np.flatnonzero(matches.labels == label)
        right = matches.right[:, mine]
        some = np.flatnonzero(right.any(axis=0))
        end = some[-1] + 1 if some.size else 0  # what comes later lowers no precision that counts
        return cls(matches.images[mine[:end]], right[:, :end], matches.counted[:, mine[:end]])

    def average_precision(
        self, block: NDArray[np.uint8], asked: NDArray[np.int64], recalls: NDArray[np.float64] | None
    ) -> Iterator[NDArray[np.float64]]:
        """For each threshold, of every resample of the block [N, R]: [R]. asked: objects to find, [R]."""
        if not len(self.images):
            yield from (np.zeros(block.shape[1]) for _ in self.right)
            return
        drawn = block[self.images]  # [D, R]
        marks = np.flatnonzero(self.right.any(axis=0))  # [M]
        starts = np.append(0, marks[:-1] + 1)
        seen = np.cumsum(np.add.reduceat(drawn, starts, axis=0, dtype=np.int32), axis=0)  # [M, R]
        for right, counted in zip(self.right, self.counted, strict=True):
            hits = np.flatnonzero(right)
            counts = drawn[hits]
            all_seen = seen[np.searchsorted(marks, hits)]
            if not counted.all():
                out = np.flatnonzero(~counted)
                ignored = np.zeros((len(out) + 1, block.shape[1]), np.int32)
                np.cumsum(drawn[out], axis=0, out=ignored[1:])
                all_seen = all_seen - ignored[np.searchsorted(out, hits)]
            yield _precision(counts, all_seen, asked, recalls)


def _precision(
    counts: NDArray[np.uint8],
    seen: NDArray[np.int32],
    asked: NDArray[np.int64],
    recalls: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Average precision from the detections that find an object, best first: how often each counts, and how many
    detections count up to and with it: [M, R], [M, R], [R] -> [R]. The 0 of a resample without object means nothing."""
    found = np.cumsum(counts, axis=0, dtype=np.int32)
    envelope = np.zeros((len(counts) + 1, len(asked)))  # a last row: nothing is found at higher recall
    np.divide(found, np.maximum(seen, 1), out=envelope[:-1])
    np.maximum.accumulate(envelope[::-1], axis=0, out=envelope[::-1])
    objects = np.maximum(asked, 1)
    if recalls is None:
        return np.asarray((counts * envelope[:-1]).sum(axis=0) / objects)
    at = _reached(found, _needed(objects, recalls))  # [11, R]
    return np.asarray(np.take_along_axis(envelope, at, axis=0).sum(axis=0) / len(recalls))


def _needed(asked: NDArray[np.int64], recalls: NDArray[np.float64]) -> NDArray[np.int64]:
    """The least number of found objects whose recall, as a float, is at least each of the eleven: [R] -> [11, R]."""
    needed = np.maximum(np.ceil(recalls[:, None] * asked) - 1, 0).astype(np.int64)
    for _ in range(2):  # ceil is at most one away from where the division says
        needed += needed / asked < recalls[:, None]
    return np.asarray(needed)


def _reached(found: NDArray[np.int32], needed: NDArray[np.int64]) -> NDArray[np.int64]:
    """Row of the first detection with which at least `needed` are found; M where never: [M, R], [P, R] -> [P, R]."""
    rows, columns = found.shape
    if not rows:
        return np.zeros(needed.shape, np.int64)
    apart = np.arange(columns, dtype=np.int64) * (1 + int(max(found[-1].max(), needed.max())))
    line = (found.T + apart[:, None]).ravel()  # ascending: a resample's numbers after those of the one before
    return np.asarray(np.searchsorted(line, needed + apart) - np.arange(columns) * rows)
