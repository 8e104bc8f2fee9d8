"""How saved detections are scored: one short class for each set of rules; `eval.detection` does the counting."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from core.data.coco_detection import CocoDetection
from core.data.records import SceneSet
from core.stage import Metric, Outcome
from eval.detection.bootstrap import mean, resampled, weights
from eval.detection.detections import Detections
from eval.detection.matching import match
from eval.detection.semantics import SEMANTICS, Rule
from eval.detection.truth import Truth
from eval.detection.voc import IOUS, scores
from eval.localization.bootstrap import interval

_RESAMPLES = 1000


@dataclass(frozen=True)
class Scoring(ABC):
    """Rules by which detections on the split "test" become numbers."""

    @abstractmethod
    def __call__(self, saved: Any, data: SceneSet, root: Path) -> Outcome:
        """The metrics of a COCO results list, the headline first.

        Args:
            saved: the list that predictions.json holds. data, root: the data set, and the folder that it lies in.

        Raises:
            EvalError: an image or class that the data set has not, a malformed entry.
        """


@dataclass(frozen=True)
class VocScoring(Scoring):
    """Pascal VOC's average precision, in percent.

    map: AP at IoU .5, the headline; map_area: the same by the area under the curve (VOC10 and later); ap, ap75: means
    over the ten IoUs .5 to .95, and at .75. Beside them the numbers of every class and size, the headline by the other
    programs' rules, and its 95% interval over resamples of the images.
    """

    semantics: str = "detectron2"
    """The program whose rules count: see `eval.detection.semantics`."""
    rule: Rule = "11 points"
    """Of the curve's summary in map, ap and ap75."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.semantics not in SEMANTICS:
            there = ", ".join(SEMANTICS)
            raise ValueError(f"VocScoring: semantics: {self.semantics!r} is not known. There are: {there}")

    def __call__(self, saved: Any, data: SceneSet, root: Path) -> Outcome:
        """The metrics of a COCO results list."""
        found, classes = detections(saved, data, root), data.classes(root)
        truth = Truth.of(data.records(root, "test"), len(classes))
        matches = {name: match(found, truth, IOUS, rules) for name, rules in SEMANTICS.items()}
        ours = matches[self.semantics]
        own, area = (scores(ours, classes, rule) for rule in (self.rule, "area"))
        numbers = {"map": own.ap50, "map_area": area.ap50, "ap": own.ap, "ap75": own.ap75}
        at_half = replace(ours, ious=ours.ious[:1], right=ours.right[:1], counted=ours.counted[:1])
        resamples = mean(resampled(at_half, weights(truth.images, _RESAMPLES), self.rule))[0]
        more = {
            "semantics": self.semantics,
            "rule": self.rule,
            "map_interval": list(interval(resamples)),
            "map_by_semantics": {name: scores(one, classes, self.rule).ap50 for name, one in matches.items()},
            "ap50_per_class": own.ap50_per_class,
            "ap_per_class": own.ap_per_class,
            "per_size": {name: asdict(one) for name, one in own.per_size.items()},
            "without_ground_truth": list(own.without_ground_truth),
            "boxes": len(saved),
        }
        return Outcome({name: Metric(value, "%", True) for name, value in numbers.items()}, more)


_COCO = {
    **{"ap": "AP", "ap50": "AP50", "ap75": "AP75", "ap_small": "APs", "ap_medium": "APm", "ap_large": "APl"},
    **{"ar_1": "AR1", "ar_10": "AR10", "ar_100": "AR100"},
    **{"ar_small": "ARs", "ar_medium": "ARm", "ar_large": "ARl"},
}
"""Metric -> COCO's name of it."""


@dataclass(frozen=True)
class CocoScoring(Scoring):
    """COCO's twelve numbers, in percent; the headline is ap, the mean over the ten IoUs .5 to .95.

    Of a set that is not COCO's, an object marked difficult is taken as a crowd, and its area is its box's. A number
    without value had no object to be of.
    """

    def __call__(self, saved: Any, data: SceneSet, root: Path) -> Outcome:
        """The metrics of a COCO results list."""
        from eval.detection.coco import coco_evaluation  # its library is slow to import

        truth = data.instances(root, "test") if isinstance(data, CocoDetection) else data.records(root, "test")
        found, classes = coco_evaluation(detections(saved, data, root), truth), data.classes(root)
        values = {name: _known(found.numbers[key]) for name, key in _COCO.items()}
        ap, ap50 = (_by_name(classes, one) for one in (found.ap_per_class, found.ap50_per_class))
        more = {
            "ap_per_class": ap,
            "ap50_per_class": ap50,
            "without_ground_truth": [name for name in classes if name not in ap],
            "boxes": len(saved),
        }
        return Outcome({name: Metric(value, "%", True) for name, value in values.items()}, more)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _by_name(classes: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """Those of classes that have objects."""
    return {name: value for name, value in zip(classes, values, strict=False) if not math.isnan(value)}


def detections(saved: Any, data: SceneSet, root: Path) -> Detections:
    """A COCO results list with this data set's categories as labels. EvalError: an unknown one, a malformed entry."""
    categories = data.naming(root).categories
    return Detections.from_coco(saved, {number: label for label, number in enumerate(categories)})
