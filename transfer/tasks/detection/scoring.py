"""How saved detections are scored: one short class for each set of rules; `eval.detection` does the counting."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.records import DataSet, SceneRecord
from core.stage import Metric, Outcome
from eval.detection.detections import Detections
from eval.detection.voc import voc_ap


@dataclass(frozen=True)
class Scoring(ABC):
    """Rules by which detections on the split "test" become numbers."""

    @abstractmethod
    def __call__(self, saved: Any, data: DataSet[SceneRecord], root: Path) -> Outcome:
        """The metrics of a COCO results list, the headline first.

        Args:
            saved: the list that predictions.json holds. data, root: the data set, and the folder that it lies in.
        """


@dataclass(frozen=True)
class VocScoring(Scoring):
    """Pascal VOC's average precision, in percent.

    map: 11-point AP at IoU .5, the headline; map_area: the same by the area under the curve (VOC10 and later);
    ap, ap75: 11-point means over the ten IoUs .5 to .95, and at .75. Beside them the headline of every class.
    """

    def __call__(self, saved: Any, data: DataSet[SceneRecord], root: Path) -> Outcome:
        """The metrics of a COCO results list."""
        found = Detections.from_coco(saved)
        scenes, classes = data.records(root, "test"), data.classes(root)
        points, area = (voc_ap(found, scenes, classes, rule) for rule in ("11 points", "area"))
        numbers = {"map": points.ap50, "map_area": area.ap50, "ap": points.ap, "ap75": points.ap75}
        more = {"ap50_per_class": points.ap50_per_class, "without_ground_truth": list(points.without_ground_truth)}
        return Outcome(
            {name: Metric(value, "%", True) for name, value in numbers.items()}, {**more, "boxes": len(saved)}
        )
