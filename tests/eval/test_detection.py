"""VOC average precision against detectron2's published numbers, a published toy case and a plain loop."""

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


def plain_ap(detections: Detections, scenes: list[Scene], label: int, threshold: float, rule: Rule) -> float:
    """The development kit's loop, one detection at a time."""
    truth = {scene.id: scene for scene in scenes}
    taken: set[tuple[str, int]] = set()
    order = sorted(
        (d for d in range(len(detections.scores)) if detections.labels[d] == label),
        key=lambda d: (-detections.scores[d], detections.image_ids[d], *detections.boxes[d]),
    )
    outcomes = []
    for d in order:
        name, (x0, y0, x1, y1) = detections.image_ids[d], np.add(detections.boxes[d], [1, 1, 0, 0])
        best, best_iou = -1, -1.0
        for g, (box, kind) in enumerate(zip(truth[name].boxes, truth[name].labels, strict=True)):
            if kind == label:
                a0, b0, a1, b1 = np.add(box, [1, 1, 0, 0])
                inside = max(min(x1, a1) - max(x0, a0) + 1, 0) * max(min(y1, b1) - max(y0, b0) + 1, 0)
                iou = inside / ((x1 - x0 + 1) * (y1 - y0 + 1) + (a1 - a0 + 1) * (b1 - b0 + 1) - inside)
                if iou > best_iou:
                    best, best_iou = g, iou
        if best_iou > threshold and truth[name].difficult[best]:
            continue
        outcomes.append(best_iou > threshold and (name, best) not in taken)
        taken.add((name, best)) if outcomes[-1] else None
    flags = [(kind, hard) for scene in scenes for kind, hard in zip(scene.labels, scene.difficult, strict=True)]
    asked = sum(kind == label and not hard for kind, hard in flags)
    recall = [sum(outcomes[: i + 1]) / asked for i in range(len(outcomes))]
    precision = [sum(outcomes[: i + 1]) / (i + 1) for i in range(len(outcomes))]
    best_from = [max(precision[i:]) for i in range(len(outcomes))]
    if rule == "11 points":
        at_least = [[p for p, r in zip(precision, recall, strict=True) if r >= t] for t in np.arange(0, 1.1, 0.1)]
        return sum(max(values, default=0.0) for values in at_least) / 11
    return sum((r - s) * p for r, s, p in zip(recall, [0.0, *recall], best_from, strict=False))


def random_case(seed: int) -> tuple[Detections, list[Scene]]:
    """Ten images of three classes with crowded objects, some difficult, and detections near them with tied scores."""
    rng = np.random.default_rng(seed)
    scenes, names, labels, scores, boxes = [], [], [], [], []
    for index in range(10):
        corners = rng.integers(0, 20, (6, 2))
        objects = np.hstack([corners, corners + rng.integers(8, 24, (6, 2))])
        kinds = rng.integers(0, 3, 6)
        hard = rng.random(6) < 0.3
        scenes.append(Scene(f"{index:03}", tuple(map(tuple, objects.tolist())), tuple(kinds.tolist()), tuple(hard)))
        for g in np.concatenate([np.arange(6), rng.integers(0, 6, 6)]):
            shift = rng.integers(-3, 4, 4)
            box = objects[g] + shift
            names.append(f"{index:03}")
            labels.append(kinds[g] if rng.random() < 0.9 else 0)
            scores.append(rng.integers(0, 8) / 8)
            boxes.append([*box[:2], max(box[2], box[0] + 1), max(box[3], box[1] + 1)])
    return Detections(names, np.array(labels), np.array(scores), np.array(boxes)), scenes


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(4))
def test_against_a_plain_loop(rule: Rule, seed: int) -> None:
    detections, scenes = random_case(seed)
    ious = (0.3, 0.5, 0.7)
    table = table_of(detections, scenes, 3, ious, rule)
    plain = [[plain_ap(detections, scenes, label, iou, rule) for iou in ious] for label in range(3)]
    assert table == pytest.approx(np.array(plain), abs=1e-12)


def test_order_of_images_does_not_matter() -> None:
    detections, scenes = random_case(9)
    by_image = sorted(range(len(detections.scores)), key=lambda d: (-int(detections.image_ids[d]), d))
    turned = Detections(
        [detections.image_ids[d] for d in by_image],
        detections.labels[by_image],
        detections.scores[by_image],
        detections.boxes[by_image],
    )
    one, two = voc_ap(detections, scenes, "abc"), voc_ap(turned, scenes[::-1], "abc")
    assert one == two


OBJECT = Scene("1", ((0, 0, 10, 10),), (0,), (False,))
HARD = Scene("2", ((0, 0, 10, 10),), (1,), (True,))


def one(box: Box, image: str = "1", label: int = 0) -> Detections:
    return Detections([image], np.array([label]), np.array([0.5]), np.array([box]))


def test_iou_of_exactly_half_is_a_miss() -> None:
    assert table_of(one((0, 0, 5, 10)), [OBJECT], 1, [0.5])[0, 0] == 0
    assert table_of(one((0, 0, 5, 10)), [OBJECT], 1, [0.499])[0, 0] == pytest.approx(1)


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
    for box in ((0.0, 0.0, float("nan"), 1.0), (5.0, 0.0, 4.0, 1.0)):
        with pytest.raises(EvalError, match="image '1': a"):
            one(box)
    with pytest.raises(EvalError, match="1 images without ground truth: 3; there are 1"):
        voc_ap(one((0, 0, 1, 1), "3"), [OBJECT], ["cat"])
    with pytest.raises(EvalError, match="labels from 1 to 1, expected 0 to 0"):
        voc_ap(one((0, 0, 1, 1), label=1), [OBJECT], ["cat"])
    with pytest.raises(EvalError, match="'1' is there twice"):
        voc_ap(one((0, 0, 1, 1)), [OBJECT, OBJECT], ["cat"])
    with pytest.raises(EvalError, match="image '2': labels"):
        voc_ap(one((0, 0, 1, 1)), [OBJECT, HARD], ["cat"])
    with pytest.raises(EvalError, match="without area"):
        voc_ap(one((0, 0, 1, 1)), [Scene("1", ((0, 0, 0, 5),), (0,), (False,))], ["cat"])
    with pytest.raises(EvalError, match=r"boxes are int64 of shape \(1, 3\)"):
        Detections(["1"], np.array([0]), np.array([1.0]), np.array([[1, 2, 3]]))
