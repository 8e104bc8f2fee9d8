"""Scoring of saved detections: published numbers, through a data set's own names of images and classes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.data.coco_detection import CocoDetection
from core.data.voc import VOC, VOC_CLASSES
from eval.errors import EvalError
from tests.data.layouts import image, voc
from transfer.tasks.detection.data import Fit, Scenes, Size, Square
from transfer.tasks.detection.results import coco_results
from transfer.tasks.detection.scoring import CocoScoring, VocScoring

MINI = VOC(train=(("2007", "trainval"),))


def entry(image: str | int, category: int, box: list[float], score: float) -> dict[str, Any]:
    """A detection as predictions.json has it; box: x0, y0, x1, y1."""
    x0, y0, x1, y1 = box
    return {"image_id": image, "category_id": category, "bbox": [x0, y0, x1 - x0, y1 - y0], "score": score}


@pytest.mark.parametrize(("rule", "key"), [("11 points", "voc07_11point"), ("area", "area")])
def test_detectron2s_numbers_on_the_real_subset(real_data: Path, rule: Any, key: str) -> None:
    folder = real_data / "metrics" / "voc"
    expected = json.loads((folder / "expected.json").read_text())
    saved = [
        entry(one["image_id"], VOC_CLASSES.index(one["category"]), one["bbox_xyxy_0based"], one["score"])
        for one in json.loads((folder / "detections.json").read_text())
    ]
    outcome = VocScoring(rule=rule)(saved, MINI, real_data)
    values = {name: metric.value for name, metric in outcome.metrics.items()}
    assert list(values) == ["map", "map_area", "ap", "ap75"]
    published = [expected[key]["AP50"], expected["area"]["AP50"], expected[key]["AP"], expected[key]["AP75"]]
    assert list(values.values()) == pytest.approx(published, abs=1e-9)
    more = outcome.more
    assert more["ap50_per_class"] == pytest.approx(expected[key]["AP50_per_class"], abs=1e-9)
    assert more["boxes"] == len(saved)
    assert more["without_ground_truth"] == []
    low, high = more["map_interval"]
    assert 1 < values["map"] - low < 10
    assert 1 < high - values["map"] < 10
    by_semantics = more["map_by_semantics"]
    assert by_semantics["detectron2"] == values["map"]
    assert len({round(value, 6) for value in by_semantics.values()}) > 1
    assert json.loads(json.dumps(more)) == more


def test_the_semantics_named_is_the_one_that_counts(tmp_path: Path) -> None:
    """IoU of exactly 1/2 is enough for the development kit alone."""
    voc(tmp_path, {"test": ["000001"]}, objects=(("dog", (1, 1, 20, 20)),))
    saved = [entry("000001", VOC_CLASSES.index("dog"), [0, 0, 20, 10], 0.9)]
    found = {
        name: VocScoring(semantics=name)(saved, MINI, tmp_path).metrics["map"].value
        for name in ("detectron2", "voc-devkit")
    }
    assert found == {"detectron2": 0.0, "voc-devkit": pytest.approx(100)}
    outcome = VocScoring(semantics="voc-devkit")(saved, MINI, tmp_path)
    assert outcome.more["semantics"] == "voc-devkit"
    assert sorted(outcome.more["without_ground_truth"]) == sorted(set(VOC_CLASSES) - {"dog"})
    with pytest.raises(ValueError, match=r"'devkit' is not known\. There are: detectron2, "):
        VocScoring(semantics="devkit")


@pytest.mark.parametrize("size", [Square(300), Fit(600, 1000)], ids=["SSD", "Faster R-CNN"])
def test_boxes_come_back_as_they_are_in_the_file(tmp_path: Path, size: Size) -> None:
    """From XML, counted from 1, through the network's pixels to results: what a perfect detector would score."""
    corners = [(1, 1, 48, 32), (7, 5, 31, 30), (48, 32, 48, 32), (1, 20, 9, 20), (20, 3, 21, 4)]
    voc(tmp_path, {"test": ["000001"]}, objects=[("dog", one) for one in corners])
    example = Scenes(MINI.records(tmp_path, "test"), size).sample(0)
    seen = (example.image.shape[2], example.image.shape[1])
    scores = torch.linspace(0.9, 0.5, len(corners))
    saved = coco_results(example.boxes, scores, example.labels, seen, example.id, example.size)
    assert [one["bbox"] for one in saved] == [[x0 - 1, y0 - 1, x1 - x0 + 1, y1 - y0 + 1] for x0, y0, x1, y1 in corners]
    for semantics in ("detectron2", "voc-devkit", "chainercv", "py-faster-rcnn"):
        assert VocScoring(semantics=semantics)(saved, MINI, tmp_path).metrics["ap"].value == pytest.approx(100)
    assert CocoScoring()(saved, MINI, tmp_path).metrics["ap"].value == pytest.approx(100)


def test_no_detections_are_zero_with_a_warning(tmp_path: Path) -> None:
    voc(tmp_path, {"test": ["000001"]})
    with pytest.warns(UserWarning, match="no detections at all"):
        outcome = VocScoring()([], MINI, tmp_path)
    assert {name: metric.value for name, metric in outcome.metrics.items()} == dict.fromkeys(outcome.metrics, 0.0)
    assert outcome.more["map_interval"] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"image_id": "000009"}, "000009"),
        ({"category_id": 20}, "20"),
        ({"score": 1.5}, "score"),
        ({"bbox": [1, 2]}, "detections: expected"),
    ],
)
def test_a_bad_entry_is_refused(tmp_path: Path, wrong: dict[str, Any], reason: str) -> None:
    voc(tmp_path, {"test": ["000001"]})
    with pytest.raises(EvalError, match=reason):
        VocScoring()([entry("000001", 0, [0, 0, 5, 5], 0.5) | wrong], MINI, tmp_path)


def test_cocos_twelve_numbers_with_its_own_ids(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "metrics" / "coco_bbox"
    annotations = tmp_path / "coco" / "annotations"
    annotations.mkdir(parents=True)
    text = (folder / "sampled_gts_bbox_area.json").read_text()
    (annotations / "instances_val2014.json").write_text(text)
    for one in json.loads(text)["images"]:
        image(tmp_path / "coco" / "val2014" / one["file_name"], size=(8, 8))
    saved = json.loads((folder / "sampled_bbox_results.json").read_text())["annotations"]
    expected = json.loads((folder / "expected.json").read_text())
    outcome = CocoScoring()(saved, CocoDetection(test="val2014"), tmp_path)
    assert next(iter(outcome.metrics)) == "ap"
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
    values = [metric.value for metric in outcome.metrics.values()]
    assert values == pytest.approx([100 * expected[name] for name in names], abs=1e-4)
    more = outcome.more
    # The library's own mean over the classes that have objects is the headline: the parts must have it too.
    for key, name in (("ap_per_class", "AP"), ("ap50_per_class", "AP50")):
        assert np.mean(list(more[key].values())) == pytest.approx(100 * expected[name], abs=1e-4)
    labelled = {one["category_id"] for one in json.loads(text)["annotations"]}
    named = {one["name"] for one in json.loads(text)["categories"] if one["id"] in labelled}
    assert set(more["ap_per_class"]) == named
    assert len(named) + len(more["without_ground_truth"]) == 80
    assert json.loads(json.dumps(more)) == more
    with pytest.raises(EvalError, match="12"):  # one of the ids that COCO leaves out
        CocoScoring()([{**saved[0], "category_id": 12}], CocoDetection(test="val2014"), tmp_path)


def test_cocos_numbers_of_a_voc_set(tmp_path: Path) -> None:
    voc(tmp_path, {"test": ["000001"]}, objects=(("dog", (1, 1, 40, 30)),))
    outcome = CocoScoring()([entry("000001", VOC_CLASSES.index("dog"), [0, 0, 40, 30], 0.9)], MINI, tmp_path)
    values = {name: metric.value for name, metric in outcome.metrics.items()}
    assert values["ap"] == pytest.approx(100)
    assert (values["ap_small"], values["ap_large"]) == (None, None)  # 1,200 pixels are medium
    assert values["ap_medium"] == pytest.approx(100)
    assert outcome.more["ap50_per_class"] == {"dog": pytest.approx(100)}
    assert sorted(outcome.more["without_ground_truth"]) == sorted(set(VOC_CLASSES) - {"dog"})
