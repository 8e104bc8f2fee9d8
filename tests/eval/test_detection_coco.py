"""COCO's twelve numbers: a published case, pycocotools beside it, and what is refused."""

import contextlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from core.data.coco_instances import read_instances
from eval.detection.coco import NUMBERS, coco_scores
from eval.detection.detections import Detections
from eval.detection.reading import read_detections
from eval.errors import EvalError
from tests.eval.detection_sets import Image

BOX = [10.0, 10.0, 40.0, 40.0]


def instances(images: int = 2, **changed: Any) -> dict[str, Any]:
    """A ground truth of one object an image, of category 5."""
    entry = {"category_id": 5, "bbox": BOX, "area": 1600.0, "iscrowd": 0} | changed
    return {
        "images": [{"id": i} for i in range(images)],
        "categories": [{"id": 5}, {"id": 2}],
        "annotations": [{**entry, "id": i, "image_id": i} for i in range(images)],
    }


def random_case(seed: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Results and ground truth with crowds, masks smaller than their boxes, equal scores and gaps in the ids."""
    rng = np.random.default_rng(seed)
    truth: dict[str, Any] = {"images": [], "categories": [{"id": k} for k in (3, 7, 90)], "annotations": []}
    results = []
    for image in rng.permutation(30)[:20].tolist():
        truth["images"].append({"id": image * 11})
        for _ in range(rng.integers(0, 6)):
            box = [*rng.integers(0, 200, 2).tolist(), *rng.integers(8, 150, 2).tolist()]
            kind, area = int(rng.choice([3, 7, 90])), box[2] * box[3] * rng.uniform(0.5, 1)
            entry = {"id": len(truth["annotations"]) + 1, "image_id": image * 11, "category_id": kind, "bbox": box}
            truth["annotations"].append({**entry, "area": area, "iscrowd": int(rng.random() < 0.15)})
            for _ in range(rng.integers(0, 4)):
                moved = np.maximum(np.array(box) + rng.normal(0, 6, 4), 1).tolist()
                label = kind if rng.random() < 0.8 else 7
                score = rng.integers(0, 20) / 20
                results.append({"image_id": image * 11, "category_id": label, "bbox": moved, "score": score})
    return results, truth


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_pycocotools(seed: int) -> None:
    results, truth = random_case(seed)
    ours = coco_scores(results, truth)
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = truth
        known.createIndex()
        peer = COCOeval(known, known.loadRes(results), "bbox")
        peer.evaluate()
        peer.accumulate()
        peer.summarize()
    assert tuple(ours) == NUMBERS
    assert list(ours.values()) == pytest.approx((100 * peer.stats).tolist(), abs=1e-10)


def test_published_case_in_every_form(real_data: Path) -> None:
    folder = real_data / "metrics/coco_bbox"
    expected = json.loads((folder / "expected.json").read_text())
    truth = read_instances(folder / "sampled_gts_bbox_area.json")
    labels = {number: label for label, number in enumerate(truth.category_ids)}
    found = read_detections(folder / "sampled_bbox_results.json", truth.classes, labels)
    entries = json.loads((folder / "sampled_bbox_results.json").read_text())["annotations"]
    parsed = json.loads((folder / "sampled_gts_bbox_area.json").read_text())
    wanted = {name: pytest.approx(100 * expected[name], abs=6e-5) for name in NUMBERS}
    for ours in (coco_scores(found, truth), coco_scores(entries, truth), coco_scores(entries, parsed)):
        assert ours == wanted
    assert coco_scores(found, truth.scenes()) == wanted  # the areas are the boxes' there, and no object is a crowd


def test_prints_nothing_and_changes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    results, truth = random_case(0)
    before = json.dumps([results, truth])
    coco_scores(results, truth)
    assert json.dumps([results, truth]) == before
    assert capfd.readouterr().out == ""


def test_a_size_without_objects_is_no_number() -> None:
    entry = {"category_id": 5, "bbox": BOX, "score": 0.5}
    scores = coco_scores([{**entry, "image_id": i} for i in range(2)], instances())
    assert {name for name, value in scores.items() if math.isnan(value)} == {"APs", "APl", "ARs", "ARl"}
    assert scores["AP"] == scores["APm"] == scores["AR1"] == pytest.approx(100)
    # An object's area is the file's, not its box's.
    assert math.isnan(coco_scores([{**entry, "image_id": 0}], instances(area=900.0))["APm"])


def test_no_detections() -> None:
    with pytest.warns(UserWarning, match="no detections at all"):
        scores = coco_scores([], instances())
    assert (scores["AP"], scores["AR100"]) == (0.0, 0.0)


def test_difficult_objects_are_crowds() -> None:
    boxes = ((0.0, 0.0, 50.0, 50.0), (100.0, 100.0, 180.0, 180.0))
    scene = Image("1", boxes, (0, 0), (False, True))
    inside = ((0.0, 0.0, 50.0, 50.0), (100.0, 100.0, 140.0, 140.0), (140.0, 140.0, 180.0, 180.0))
    found = Detections(["1"] * 3, np.zeros(3, int), np.array([0.1, 0.9, 0.8]), np.array(inside))
    assert coco_scores(found, [scene])["AP"] == pytest.approx(100)


def test_refused() -> None:
    entry = {"image_id": 0, "category_id": 5, "bbox": BOX, "score": 0.5}
    with pytest.raises(EvalError, match="in images without ground truth: 9; there are 2, such as 0"):
        coco_scores([{**entry, "image_id": 9}], instances())
    with pytest.raises(EvalError, match="category_id 3 is not known; there are 2, 5"):
        coco_scores([{**entry, "category_id": 3}], instances())
    found = Detections(["0"], np.array([2]), np.array([0.5]), np.array([BOX]))
    with pytest.raises(EvalError, match="labels from 2 to 2, expected 0 to 1"):
        coco_scores(found, instances())
    with pytest.raises(EvalError, match="expected image_id, category_id, bbox, score"):
        coco_scores([{"image_id": 0}], instances())
    with pytest.raises(EvalError, match=r"annotations with image_id.*'images'"):
        coco_scores([entry], {"categories": []})
    for wrong in ({"category_id": 8}, {"bbox": [1, 2, 3]}):
        with pytest.raises(EvalError, match="an annotation of an unknown image or category, or without a box"):
            coco_scores([entry], instances(**wrong))
