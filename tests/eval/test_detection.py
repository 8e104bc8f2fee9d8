"""VOC average precision against detectron2's published numbers and a published toy case; what is refused."""

import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from eval.detection.detections import Detections
from eval.detection.matching import match
from eval.detection.semantics import SEMANTICS, Rule
from eval.detection.truth import Truth
from eval.detection.voc import average_precision, voc_ap
from eval.errors import EvalError

Box = tuple[float, float, float, float]
RULES: tuple[Rule, ...] = ("11 points", "area")


@dataclass(frozen=True)
class Scene:
    id: str
    boxes: tuple[Box, ...]
    labels: tuple[int, ...]
    difficult: tuple[bool, ...]


def table_of(
    detections: Detections,
    scenes: list[Scene],
    classes: int,
    ious: Sequence[float],
    rule: Rule = "11 points",
    semantics: str = "detectron2",
) -> np.ndarray:
    return average_precision(match(detections, Truth.of(scenes, classes), ious, SEMANTICS[semantics]), rule)


def voc_scene(path: Path, classes: list[str]) -> Scene:
    objects = ET.parse(path).getroot().findall("object")
    boxes = []
    for element in objects:
        x0, y0, x1, y1 = (float(element.findtext(f"bndbox/{key}", "")) for key in ("xmin", "ymin", "xmax", "ymax"))
        boxes.append((x0 - 1, y0 - 1, x1, y1))
    labels = tuple(classes.index(element.findtext("name", "")) for element in objects)
    return Scene(path.stem, tuple(boxes), labels, tuple(element.findtext("difficult") == "1" for element in objects))


@pytest.mark.parametrize(("rule", "key"), [("11 points", "voc07_11point"), ("area", "area")])
def test_agrees_with_detectron2(real_data: Path, rule: Rule, key: str) -> None:
    expected = json.loads((real_data / "metrics/voc/expected.json").read_text())
    classes = expected["classes"]
    ids = (real_data / "metrics/voc/image_ids.txt").read_text().split()
    scenes = [voc_scene(real_data / f"VOCdevkit/VOC2007/Annotations/{name}.xml", classes) for name in ids]
    found = json.loads((real_data / "metrics/voc/detections.json").read_text())
    detections = Detections(
        [entry["image_id"] for entry in found],
        np.array([classes.index(entry["category"]) for entry in found]),
        np.array([entry["score"] for entry in found]),
        np.array([entry["bbox_xyxy_0based"] for entry in found]),
    )
    scores = voc_ap(detections, scenes, classes, rule)
    ours = {"AP": scores.ap, "AP50": scores.ap50, "AP75": scores.ap75}
    assert ours == pytest.approx({name: expected[key][name] for name in ours}, abs=1e-12)
    assert scores.ap50_per_class == pytest.approx(expected[key]["AP50_per_class"], abs=1e-12)


@pytest.mark.parametrize(("rule", "key"), [("11 points", "eleven_point"), ("area", "every_point")])
def test_toy_case(real_data: Path, rule: Rule, key: str) -> None:
    case = json.loads((real_data / "metrics/voc_toy/case.json").read_text())

    def box(x: str, y: str, w: str, h: str) -> Box:  # its last pixel is x + w, inclusive
        return (int(x), int(y), int(x) + int(w) + 1, int(y) + int(h) + 1)

    scenes = [
        Scene(name, tuple(box(*entry[1:]) for entry in entries), (0,) * len(entries), (False,) * len(entries))
        for name, entries in case["gts"].items()
    ]
    found = [(name, float(entry[1]), box(*entry[2:])) for name, entries in case["dets"].items() for entry in entries]
    names, scores, boxes = zip(*found, strict=True)
    detections = Detections(names, np.zeros(len(names), int), np.array(scores), np.array(boxes))
    ious = sorted(map(float, case["expected"][key]))
    result = table_of(detections, scenes, 1, ious, rule)[0]
    assert result == pytest.approx([case["expected"][key][f"{iou:g}"] for iou in ious], abs=5e-8)


OBJECT = Scene("1", ((0, 0, 10, 10),), (0,), (False,))
HARD = Scene("2", ((0, 0, 10, 10),), (1,), (True,))


def one(box: Box, image: str = "1", label: int = 0) -> Detections:
    return Detections([image], np.array([label]), np.array([0.5]), np.array([box]))


def test_class_without_ground_truth_is_left_out_and_named() -> None:
    scores = voc_ap(one((0, 0, 10, 10)), [OBJECT, HARD], ["cat", "dog"])
    assert scores.ap50 == pytest.approx(100.0)
    assert scores.ap50_per_class == {"cat": scores.ap50}
    assert scores.without_ground_truth == ("dog",)
    with pytest.raises(EvalError, match="none of 2 classes has an object"):
        voc_ap(one((0, 0, 10, 10), "2"), [HARD], ["cat", "dog"])


def test_no_detections() -> None:
    with pytest.warns(UserWarning, match="no detections at all"):
        scores = voc_ap(Detections.from_coco([]), [OBJECT], ["cat"])
    assert (scores.ap, scores.ap50, scores.ap75) == (0.0, 0.0, 0.0)


def test_from_coco() -> None:
    entry = {"image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}
    detections = Detections.from_coco([entry])
    assert (detections.image_ids, detections.boxes.tolist()) == (["7"], [[1.0, 2.0, 4.0, 6.0]])
    for wrong in ({"image_id": 7}, entry | {"bbox": [1, 2, 3]}):
        with pytest.raises(EvalError, match="expected image_id, category_id, bbox, score"):
            Detections.from_coco([wrong])


def test_refused() -> None:
    for score in (1.5, -0.1, float("nan")):
        with pytest.raises(EvalError, match="image '1': a score"):
            Detections(["1"], np.array([0]), np.array([score]), np.array([[0, 0, 1, 1]]))
    for box in ((0.0, 0.0, float("nan"), 1.0), (5.0, 0.0, 4.0, 1.0)):
        with pytest.raises(EvalError, match="image '1': a"):
            one(box)
    with pytest.raises(EvalError, match="in images without ground truth: 3; there are 1, such as 1"):
        voc_ap(one((0, 0, 1, 1), "3"), [OBJECT], ["cat"])
    with pytest.raises(EvalError, match="labels from 1 to 1, expected 0 to 0"):
        voc_ap(one((0, 0, 1, 1), label=1), [OBJECT], ["cat"])
    with pytest.raises(EvalError, match="'1' is there twice"):
        voc_ap(one((0, 0, 1, 1)), [OBJECT, OBJECT], ["cat"])
    with pytest.raises(EvalError, match="image '2': labels"):
        voc_ap(one((0, 0, 1, 1)), [OBJECT, HARD], ["cat"])
    for box in ((0, 0, 0, 5), (0, 0, 1, float("nan")), (0, 0, 1, float("inf"))):
        with pytest.raises(EvalError, match="without area"):
            voc_ap(one((0, 0, 1, 1)), [Scene("1", (box,), (0,), (False,))], ["cat"])
    with pytest.raises(EvalError, match=r"boxes are int64 of shape \(1, 3\)"):
        Detections(["1"], np.array([0]), np.array([1.0]), np.array([[1, 2, 3]]))
