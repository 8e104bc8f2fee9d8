"""Everything that is asked of detections at once: matched one time for each semantics, then counted in many ways."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from eval.detection import bootstrap
from eval.detection.detections import Detections
from eval.detection.error_split import ErrorSplit, split_errors
from eval.detection.ground_truth import GroundTruth
from eval.detection.matching import Matches, match
from eval.detection.semantics import SEMANTICS, VARIANTS, Rule, Semantics
from eval.detection.truth import Truth
from eval.detection.voc import IOUS, VocScores, average_precision, scores
from eval.difference import Difference
from eval.localization.bootstrap import Interval, interval

RULES: tuple[Rule, ...] = ("11 points", "area")
HEADLINES = ("ap50", "ap75", "ap")
"""The three numbers that intervals and differences are of."""


@dataclass(frozen=True)
class Row:
    """One line of the comparison of evaluators, in percent."""

    name: str
    rule: str
    own: bool
    """Whether this is what the program computes for VOC 2007 unless told otherwise."""
    ap50: float
    ap75: float
    ap: float


@dataclass(frozen=True)
class Intervals:
    """95% over images, in percent."""

    resamples: int
    seed: int
    overall: Mapping[str, Interval]
    """By the names of HEADLINES."""
    ap50_per_class: Mapping[str, Interval]
    """Over the resamples that have objects of the class."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Detections on a ground truth, by one program's rules. Nothing is computed before it is asked for."""

    detections: Detections
    ground_truth: GroundTruth
    semantics: Semantics = SEMANTICS["detectron2"]
    rule: Rule = "11 points"

    @cached_property
    def truth(self) -> Truth:
        """The objects in arrays."""
        return Truth.of(self.ground_truth.scenes, len(self.ground_truth.classes))

    @cached_property
    def matches(self) -> Matches:
        """At the ten IOUS."""
        return match(self.detections, self.truth, IOUS, self.semantics)

    @cached_property
    def table(self) -> NDArray[np.float64]:
        """Average precision of every class at every threshold: [K, T] fractions."""
        return average_precision(self.matches, self.rule)

    @cached_property
    def scores(self) -> VocScores:
        """The numbers. EvalError: no object is asked for."""
        return scores(self.matches, self.ground_truth.classes, self.rule)

    @cached_property
    def objects(self) -> dict[str, int]:
        """How many objects of each class are asked for."""
        return dict(zip(self.ground_truth.classes, self.matches.asked.tolist(), strict=True))

    @cached_property
    def coco(self) -> dict[str, float]:
        """COCO's twelve numbers, in percent."""
        from eval.detection.coco import coco_scores

        return coco_scores(self.detections, self.ground_truth.instances or self.ground_truth.scenes)

    def side_by_side(self) -> list[Row]:
        """By every semantics and variant with both rules, and by COCO's."""
        rows = []
        for semantics in (*SEMANTICS.values(), *VARIANTS.values()):
            matches = match(self.detections, self.truth, IOUS, semantics)
            for rule in RULES:
                found = scores(matches, self.ground_truth.classes, rule)
                rows.append(Row(semantics.name, rule, rule == semantics.rule, found.ap50, found.ap75, found.ap))
        return [*rows, Row("COCO", "101 points", True, self.coco["AP50"], self.coco["AP75"], self.coco["AP"])]

    def resampled(self, resamples: int, seed: int) -> NDArray[np.float64]:
        """[K, T, R] fractions, NaN where a resample has no object of a class; the same images for the same seed."""
        drawn = bootstrap.weights(self.truth.images, resamples, seed)
        return bootstrap.resampled(self.matches, drawn, self.rule)

    def intervals(self, resamples: int, seed: int = 0) -> Intervals:
        """Percentiles over resamples of the images."""
        table = self.resampled(resamples, seed)
        overall = {name: interval(values) for name, values in _headlines(table).items()}
        per_class = {
            name: interval(100 * row[~np.isnan(row)])
            for name, row in zip(self.ground_truth.classes, table[:, 0], strict=True)
            if not np.isnan(row).all()
        }
        return Intervals(resamples, seed, overall, per_class)

    def minus(self, other: "Evaluation", resamples: int, seed: int = 0) -> dict[str, Difference]:
        """This one's numbers minus another's on the same ground truth, in the same resamples: by HEADLINES."""
        mine, others = (_headlines(one.resampled(resamples, seed)) for one in (self, other))
        return {
            name: Difference.of((getattr(self.scores, name), getattr(other.scores, name)), (mine[name], others[name]))
            for name in HEADLINES
        }

    def errors(self) -> ErrorSplit:
        """What each kind of error costs, at IoU .5."""
        return split_errors(self.matches, partial(average_precision, rule=self.rule))


def _headlines(table: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """AP50, AP75 and AP in every resample, in percent: [K, T, R] -> [R] each."""
    means = bootstrap.mean(table)
    return {"ap50": means[0], "ap75": means[IOUS.index(0.75)], "ap": means.mean(axis=0)}
