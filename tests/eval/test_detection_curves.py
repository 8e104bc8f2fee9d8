"""Precision/recall curves: the points against a plain loop, the CSV against the points, the figure as a picture."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from eval.detection.curves import PrecisionRecall, draw, write_csv
from eval.detection.detections import Detections
from eval.detection.voc import average_precision
from eval.errors import EvalError
from tests.eval.detection_sets import matched, random_set

CLASSES = ("cat", "dog, small", "emu", "yak")  # none of the last


def test_points_against_a_plain_loop() -> None:
    matches = matched(*random_set(1, images=30), 4)
    curve = PrecisionRecall.of(matches, 1, column=0)
    expected, found, seen = [], 0, 0
    for d in range(len(matches.index)):
        if matches.labels[d] == 1 and matches.counted[0, d]:
            seen += 1
            if matches.right[0, d]:
                found += 1
                expected.append((matches.scores[d], found / matches.asked[1], found / seen))
    assert len(expected) > 5
    points = np.stack([curve.scores, curve.recall, curve.precision], axis=1)
    np.testing.assert_allclose(points, expected, rtol=1e-12)


def test_area_below_the_envelope_is_average_precision() -> None:
    matches = matched(*random_set(2), 3)
    table = average_precision(matches, "area")
    for label in range(3):
        for column in (0, 5):
            curve = PrecisionRecall.of(matches, label, column)
            area = np.sum(np.diff(curve.recall, prepend=0.0) * curve.envelope)
            assert area == pytest.approx(table[label, column], abs=1e-12)


def test_csv_holds_every_point(tmp_path: Path) -> None:
    matches = matched(*random_set(3), 4)
    write_csv(matches, CLASSES, tmp_path / "new" / "points.csv")
    with (tmp_path / "new" / "points.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["class"] for row in rows} == set(CLASSES[:3])
    assert len(rows) == matches.right.sum()
    mine = [row for row in rows if row["class"] == "dog, small" and row["iou"] == "0.55"]
    curve = PrecisionRecall.of(matches, 1, matches.ious.index(0.55))
    assert [float(row["recall"]) for row in mine] == pytest.approx(curve.recall, rel=1e-5)
    assert [float(row["precision"]) for row in mine] == pytest.approx(curve.precision, rel=1e-5)
    assert [float(row["score"]) for row in mine] == pytest.approx(curve.scores, rel=1e-5)


def test_figure_is_drawn(tmp_path: Path) -> None:
    detections, scenes = random_set(4)
    for name, found in (("some.png", detections), ("none.png", Detections.from_coco([]))):
        matches = matched(found, scenes, 4)
        draw(matches, CLASSES, average_precision(matches), tmp_path / name)
    with Picture.open(tmp_path / "some.png") as some, Picture.open(tmp_path / "none.png") as none:
        assert some.size == none.size, "a plot for each of the three classes that have objects"
        assert np.any(np.asarray(some) != np.asarray(none)), "lines are drawn"


def test_refused_and_nothing_left_behind(tmp_path: Path) -> None:
    matches = matched(*random_set(5), 4)
    with pytest.raises(EvalError, match=r"f\.xyz: expected the name of a figure, \.png, \.pdf or \.svg"):
        draw(matches, CLASSES, average_precision(matches), tmp_path / "f.xyz")
    (tmp_path / "file").touch()
    with pytest.raises(EvalError, match=r"points\.csv: cannot be written"):
        write_csv(matches, CLASSES, tmp_path / "file" / "points.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
