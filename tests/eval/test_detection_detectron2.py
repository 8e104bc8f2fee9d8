"""Bit by bit what detectron2's own evaluator says; where that package can be imported."""
# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-call,unused-ignore"

from pathlib import Path

import numpy as np
import pytest
import torch

from eval.detection.detections import Detections
from eval.detection.voc import voc_ap
from tests.eval.detection_sets import Image, random_set

pytest.importorskip("detectron2", reason="detectron2 is not importable; docs/detectron2.md says how to build it")

from detectron2 import data, evaluation, structures

CLASSES = ["cat", "dog", "cow"]


def xml(scene: Image) -> str:
    objects = "".join(
        f"<object><name>{CLASSES[label]}</name><pose>Left</pose><truncated>0</truncated>"
        f"<difficult>{int(hard)}</difficult><bndbox><xmin>{x0 + 1:.0f}</xmin><ymin>{y0 + 1:.0f}</ymin>"
        f"<xmax>{x1:.0f}</xmax><ymax>{y1:.0f}</ymax></bndbox></object>"
        for (x0, y0, x1, y1), label, hard in zip(scene.boxes, scene.labels, scene.difficult, strict=True)
    )
    return f"<annotation>{objects}</annotation>"


@pytest.mark.parametrize(("year", "rule"), [(2007, "11 points"), (2012, "area")])
@pytest.mark.parametrize("seed", range(3))
def test_bit_equal(tmp_path: Path, seed: int, year: int, rule: str) -> None:
    tied, scenes = random_set(seed, images=40)
    rng = np.random.default_rng(seed)
    scores = rng.permutation(1000)[: len(tied.scores)] / 1000  # on its grid, without ties
    boxes = tied.boxes + rng.integers(0, 10, (len(scores), 1)) / 10
    found = Detections(tied.image_ids, tied.labels, scores, boxes.round(1))

    (tmp_path / "Annotations").mkdir()
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/test.txt").write_text("".join(f"{scene.id}\n" for scene in scenes))
    name = f"case {seed} of {year}"
    data.MetadataCatalog.get(name).set(dirname=str(tmp_path), split="test", year=year, thing_classes=CLASSES)
    evaluator = evaluation.PascalVOCDetectionEvaluator(name)
    evaluator.reset()
    for scene in scenes:
        (tmp_path / f"Annotations/{scene.id}.xml").write_text(xml(scene))
        here = [d for d, image in enumerate(found.image_ids) if image == scene.id]
        instances = structures.Instances((100, 100))
        instances.pred_boxes = structures.Boxes(torch.tensor(found.boxes[here]).reshape(-1, 4))
        instances.scores = torch.tensor(found.scores[here])
        instances.pred_classes = torch.tensor(found.labels[here])
        evaluator.process([{"image_id": scene.id}], [{"instances": instances}])
    theirs = evaluator.evaluate()["bbox"]
    ours = voc_ap(found, scenes, CLASSES, "11 points" if rule == "11 points" else "area")
    assert {"AP": ours.ap, "AP50": ours.ap50, "AP75": ours.ap75} == dict(theirs)
