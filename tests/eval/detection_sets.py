"""Detections and scenes for the tests of what is computed from matches: random ones, and the real case."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.data.voc import VOC_CLASSES, annotations
from eval.detection.detections import Detections
from eval.detection.matching import Matches, match
from eval.detection.semantics import SEMANTICS, Semantics
from eval.detection.truth import Scene, Truth
from eval.detection.voc import IOUS

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Image:
    """A scene."""

    id: str
    boxes: tuple[Box, ...]
    labels: tuple[int, ...]
    difficult: tuple[bool, ...]


def random_set(seed: int, images: int = 12, classes: int = 3, hard: float = 0.3) -> tuple[Detections, list[Image]]:
    """Crowded images, the last one empty. Scores differ within an image; across images they are often equal."""
    rng = np.random.default_rng(seed)
    scenes, names, labels, scores, boxes = [], [], [], [], []
    for index in range(images):
        count = 5 if index < images - 1 else 0
        corners = rng.integers(0, 30, (count, 2))
        objects = np.hstack([corners, corners + rng.integers(8, 24, (count, 2))]).astype(float)
        kinds = rng.integers(0, classes, count)
        flags = rng.random(count) < hard
        name = f"{index:03}"
        scenes.append(Image(name, tuple(map(tuple, objects.tolist())), tuple(kinds.tolist()), tuple(flags.tolist())))
        found = np.concatenate([np.arange(count), rng.integers(0, max(count, 1), 9 if count else 0)])
        for g, score in zip(found, rng.permutation(20)[: len(found)], strict=True):
            low = objects[g, :2] + rng.integers(-4, 5, 2)
            names.append(name)
            boxes.append([*low, *np.maximum(objects[g, 2:] + rng.integers(-4, 5, 2), low + 1)])
            labels.append(kinds[g] if rng.random() < 0.8 else rng.integers(0, classes))
            scores.append(score / 20)
    return Detections(names, np.array(labels), np.array(scores), np.array(boxes)), scenes


def matched(
    detections: Detections,
    scenes: list[Image],
    classes: int = 3,
    ious: tuple[float, ...] = IOUS,
    semantics: Semantics = SEMANTICS["detectron2"],
) -> Matches:
    """Detections matched with scenes."""
    return match(detections, Truth.of(scenes, classes), ious, semantics)


@dataclass(frozen=True)
class RealCase:
    """The published case on 200 images of VOC 2007 test."""

    detections: Detections
    scenes: tuple[Scene, ...]
    expected: dict[str, Any]

    def results(self) -> list[dict[str, Any]]:
        """The detections as a COCO results file of this project has them."""
        sides = self.detections.boxes.copy()
        sides[:, 2:] -= sides[:, :2]
        columns = (
            self.detections.image_ids, self.detections.labels.tolist(), self.detections.scores.tolist(), sides.tolist()
        )  # fmt: skip
        return [
            {"image_id": image, "category_id": label, "bbox": box, "score": score}
            for image, label, score, box in zip(*columns, strict=True)
        ]


def real_case(real_data: Path) -> RealCase:
    """Read it; the ground truth is the whole image set "test" of the real subset."""
    folder = real_data / "metrics" / "voc"
    found = json.loads((folder / "detections.json").read_text())
    detections = Detections(
        [entry["image_id"] for entry in found],
        np.array([VOC_CLASSES.index(entry["category"]) for entry in found]),
        np.array([entry["score"] for entry in found]),
        np.array([entry["bbox_xyxy_0based"] for entry in found]),
    )
    return RealCase(detections, annotations(real_data), json.loads((folder / "expected.json").read_text()))
