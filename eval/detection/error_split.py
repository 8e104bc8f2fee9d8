"""Which errors cost average precision: the six kinds of TIDE, each with what AP50 would gain if it were mended.

Source: Bolya, Foley, Hays, Hoffman, "TIDE", ECCV 2020, section 2; code: dbolya/tide. With t = .5 and b = .1, and IoUs
with objects that are to be found, a detection that counts and is not right is the first of these that holds:

- localisation: overlaps an object of its class by b or more, but too little to find it;
- classification: would find an object of another class;
- duplicate: would find an object of its class, which another detection found;
- background: overlaps no object by more than b;
- both: the rest: too far from an object of another class.

Mending a localisation or classification error makes the detection right, of the object's class. Where several such
errors (of either kind) are about one object, the one of highest score is mended; the others are taken away, and so are
those about objects that are found anyway. Mending a duplicate, background or both error takes the detection away.
*Missed* objects are those not found that no localisation or classification error is about; mended, they are not asked
for. Beside the six: all false positives taken away, and all objects that are not found not asked for.

Where this differs from dbolya/tide: which detection is right is said by the semantics of VOC chosen, not by COCO's, and
AP is by VOC's rule, not of 101 points; the mean is over the classes with objects to find, not over those with any
detection too; all detections are read, not the best 100 of an image; a detection that counts neither way (its best
object is difficult) is no error, while TIDE may mend it; a gain is shown as it comes, TIDE shows none below 0.

Letters: D detections, G objects, P (detection, object) pairs, K classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eval.detection.matching import Matches, iou_of_pairs

BACKGROUND = 0.1
"""TIDE's threshold below which a detection is of nothing."""

Average = Callable[[Matches], NDArray[np.float64]]
"""Average precision of every class at every threshold of the matches: [K, T] fractions."""


@dataclass(frozen=True)
class Error:
    """One kind: how many detections (or objects, for missed) and what AP gains, in points, if all were mended."""

    count: int
    gain: float


@dataclass(frozen=True)
class ErrorSplit:
    """All kinds at one threshold. Gains do not add up to 100 - ap: one error may hide another."""

    iou: float
    ap: float
    """Percent, before anything is mended."""
    classification: Error
    localisation: Error
    both: Error
    duplicate: Error
    background: Error
    missed: Error
    false_positives: Error
    """All of the first five."""
    false_negatives: Error
    """All objects that are not found, missed or not."""


def split_errors(matches: Matches, average: Average, column: int = 0) -> ErrorSplit:
    """Split the errors at one of the thresholds.

    Args:
        matches: at any thresholds.
        average: how AP is computed.
        column: which threshold of `matches`.
    """
    one = replace(
        matches,
        ious=matches.ious[column : column + 1],
        right=matches.right[column : column + 1],
        counted=matches.counted[column : column + 1],
    )
    kinds = _Kinds.of(one)
    asked = one.asked > 0

    def ap(mended: Matches) -> float:
        return float(100 * np.nan_to_num(average(mended)[asked, 0]).mean())  # with nothing left to ask for: 0

    before = ap(one)

    def error(which: NDArray[np.bool_], mended: Matches) -> Error:
        return Error(int(which.sum()), ap(mended) - before)

    return ErrorSplit(
        one.ious[0],
        before,
        classification=error(kinds.classification, kinds.corrected(kinds.classification)),
        localisation=error(kinds.localisation, kinds.corrected(kinds.localisation)),
        both=error(kinds.both, kinds.without(kinds.both)),
        duplicate=error(kinds.duplicate, kinds.without(kinds.duplicate)),
        background=error(kinds.background, kinds.without(kinds.background)),
        missed=error(kinds.missed, kinds.not_asked(kinds.missed)),
        false_positives=error(kinds.wrong, kinds.without(kinds.wrong)),
        false_negatives=error(kinds.not_found, kinds.not_asked(kinds.not_found)),
    )


@dataclass(frozen=True, eq=False)
class _Kinds:
    """Every wrong detection's kind at the one threshold of `matches`, and the ways to mend them."""

    matches: Matches
    wrong: NDArray[np.bool_]
    """[D] counts, and is not right."""
    classification: NDArray[np.bool_]
    localisation: NDArray[np.bool_]
    both: NDArray[np.bool_]
    duplicate: NDArray[np.bool_]
    background: NDArray[np.bool_]
    target: NDArray[np.int64]
    """[D] the object that a localisation or classification error is about; else -1."""
    not_found: NDArray[np.bool_]
    """[G] asked for, and no detection is right about it."""

    @classmethod
    def of(cls, matches: Matches) -> "_Kinds":
        (right,), (counted,), (threshold,) = matches.right, matches.counted, matches.ious
        wrong = counted & ~right
        own, other = _overlaps(matches, np.flatnonzero(wrong))
        passes = matches.passes(threshold)
        near = other.iou >= threshold if matches.semantics.at_least else other.iou > threshold
        localisation = wrong & ~passes & (own.iou >= BACKGROUND)
        classification = wrong & ~localisation & near
        duplicate = wrong & ~localisation & ~classification & passes
        rest = wrong & ~localisation & ~classification & ~duplicate
        nothing = np.maximum(own.iou, other.iou) <= BACKGROUND
        target = np.where(localisation, own.object, np.where(classification, other.object, -1))
        found = np.zeros(len(matches.wanted), bool)
        found[matches.best[right]] = True
        return cls(
            matches,
            wrong,
            classification,
            localisation,
            both=rest & ~nothing,
            duplicate=duplicate,
            background=rest & nothing,
            target=target,
            not_found=matches.wanted & ~found,
        )

    @property
    def missed(self) -> NDArray[np.bool_]:
        """[G] not found, and no localisation or classification error is about it."""
        about = np.zeros(len(self.not_found), bool)
        about[self.target[self.target >= 0]] = True
        return self.not_found & ~about

    def without(self, which: NDArray[np.bool_]) -> Matches:
        """Some detections taken away."""
        return replace(self.matches, counted=self.matches.counted & ~which)

    def not_asked(self, which: NDArray[np.bool_]) -> Matches:
        """Some objects not asked for."""
        return replace(self.matches, wanted=self.matches.wanted & ~which)

    def corrected(self, which: NDArray[np.bool_]) -> Matches:
        """Some localisation or classification errors made right, or taken away where another is."""
        candidates = np.flatnonzero(self.target >= 0)
        candidates = candidates[self.not_found[self.target[candidates]]]
        first = np.unique(self.target[candidates], return_index=True)[1]  # of every object, the one of highest score
        mended = np.zeros(len(which), bool)
        mended[candidates[first]] = True
        mended &= which
        labels = self.matches.labels.copy()
        labels[mended] = self.matches.truth.labels[self.target[mended]]
        return replace(
            self.matches,
            labels=labels,
            right=self.matches.right | mended,
            counted=self.matches.counted & (mended | ~which),
        )


@dataclass(frozen=True, eq=False)
class _Best:
    """Of every detection, the object that it overlaps most among some: its IoU, and which; -1 and -1 for none."""

    iou: NDArray[np.float64]
    object: NDArray[np.int64]

    def take(self, which: NDArray[np.int64], iou: NDArray[np.float64], objects: NDArray[np.int64]) -> None:
        """Look at one more object of each of some detections. Of equal ones the first stays."""
        better = np.flatnonzero(iou > self.iou[which])
        self.iou[which[better]], self.object[which[better]] = iou[better], objects[better]


def _overlaps(matches: Matches, which: NDArray[np.int64]) -> tuple[_Best, _Best]:
    """Overlap of some detections with the objects asked for in their images: of their class, and of other classes.

    Widths are x1 - x0 of half-open boxes, which is VOC's + 1 form, whatever the semantics: what finds an object was
    decided by them, and only how near a wrong detection came is measured here.
    """
    truth, count = matches.truth, len(matches.index)
    wanted = np.flatnonzero(matches.wanted)
    wanted = wanted[np.argsort(truth.positions_of_objects[wanted], kind="stable")]
    starts = np.searchsorted(truth.positions_of_objects[wanted], np.arange(truth.images + 1))
    own, other = (_Best(np.full(count, -1.0), np.full(count, -1)) for _ in range(2))
    at, last = starts[matches.images[which]], starts[matches.images[which] + 1]
    while which.size:  # all first objects of an image, then all second ones, ...
        more = np.flatnonzero(at < last)
        which, at, last = which[more], at[more], last[more]
        objects = wanted[at]
        iou = iou_of_pairs(matches.boxes[which].T, truth.boxes[objects].T)
        same = matches.labels[which] == truth.labels[objects]
        own.take(which[same], iou[same], objects[same])
        other.take(which[~same], iou[~same], objects[~same])
        at = at + 1
    return own, other
