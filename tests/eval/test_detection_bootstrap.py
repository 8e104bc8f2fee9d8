"""Resampled average precision against the evaluator itself on images that are there as often as they were drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.detection.bootstrap import _needed, mean, resampled, weights
from eval.detection.detections import Detections
from eval.detection.evaluation import Evaluation
from eval.detection.ground_truth import GroundTruth
from eval.detection.semantics import MATLAB_RECALLS, NUMPY_RECALLS, SEMANTICS, Rule
from eval.detection.voc import IOUS, average_precision
from eval.difference import Difference
from eval.errors import EvalError
from tests.eval.detection_sets import Image, matched, random_set, real_case

RULES: tuple[Rule, ...] = ("11 points", "area")


def copied(detections: Detections, scenes: list[Image], counts: np.ndarray) -> tuple[Detections, list[Image]]:
    """Every image as often as `counts` says, the copies named apart."""
    times = dict(zip((scene.id for scene in scenes), counts.tolist(), strict=True))
    images = [replace(scene, id=f"{scene.id}#{j}") for scene in scenes for j in range(times[scene.id])]
    repeated = [(d, j) for d, image in enumerate(detections.image_ids) for j in range(times[image])]
    at = np.array([d for d, _ in repeated], int)
    names = [f"{detections.image_ids[d]}#{j}" for d, j in repeated]
    return Detections(names, detections.labels[at], detections.scores[at], detections.boxes[at]), images


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", SEMANTICS)
def test_equals_the_evaluator_on_copied_images(rule: Rule, name: str) -> None:
    detections, scenes = random_set(3)
    ious, semantics = (0.3, 0.5, 0.75), SEMANTICS[name]
    drawn = weights(len(scenes), 40, seed=5)
    table = resampled(matched(detections, scenes, 4, ious, semantics), drawn, rule)
    assert table.shape == (4, 3, 40)
    for r in range(drawn.shape[1]):
        plain = average_precision(matched(*copied(detections, scenes, drawn[:, r]), 4, ious, semantics), rule)
        np.testing.assert_allclose(table[:, :, r], plain, atol=1e-12)


def test_a_resample_without_objects_of_a_class_leaves_it_out() -> None:
    detections, scenes = random_set(1, images=4)
    counts = np.array([[0, 1], [0, 1], [0, 1], [4, 1]], np.uint8)  # the last image has no object
    table = resampled(matched(detections, scenes, 3), counts, "11 points")
    assert np.isnan(table[:, :, 0]).all()
    np.testing.assert_allclose(table[:, :, 1], average_precision(matched(detections, scenes, 3)), atol=1e-12)
    some = np.array([[[1.0, np.nan]], [[0.5, 0.25]]])  # [K, T, R]
    assert mean(some).tolist() == [[75.0, 25.0]]
    with pytest.raises(EvalError, match="no resample has an object"):
        mean(some[:, :, :0])
    with pytest.raises(EvalError, match="no resample has an object"):
        mean(np.full((2, 10, 3), np.nan))


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    detections, scenes = random_set(2)
    matches, drawn = matched(detections, scenes), weights(len(scenes), 30)
    whole = resampled(matches, drawn, "area")
    monkeypatch.setattr("eval.detection.bootstrap._CELLS", 500)
    np.testing.assert_array_equal(resampled(matches, drawn, "area"), whole)


def test_order_of_entries_and_images_does_not_matter() -> None:
    detections, scenes = random_set(6)
    detections = replace(detections, scores=np.round(detections.scores * 4) / 4)  # many equal ones
    drawn = weights(len(scenes), 20)
    whole = resampled(matched(detections, scenes), drawn, "11 points")
    order = np.random.default_rng(0).permutation(len(detections.scores))
    names = [detections.image_ids[d] for d in order]
    turned = Detections(names, detections.labels[order], detections.scores[order], detections.boxes[order])
    np.testing.assert_array_equal(resampled(matched(turned, scenes[::-1]), drawn, "11 points"), whole)


def test_no_detections_are_zeros() -> None:
    nothing = Detections([], np.zeros(0, int), np.zeros(0), np.zeros((0, 4)))
    table = resampled(matched(nothing, random_set(0)[1]), weights(12, 5), "11 points")
    assert np.nanmax(table) == 0


def test_weights_draw_as_many_images_as_there_are() -> None:
    drawn = weights(50, 20, seed=1)
    assert (drawn.sum(axis=0) == 50).all()
    assert len(np.unique(drawn, axis=1).T) == 20
    np.testing.assert_array_equal(drawn, weights(50, 20, seed=1))


def test_difference_is_paired() -> None:
    first, second = np.array([3.0, 5.0, 4.0, 8.0, 6.0]), np.array([2.0, 6.0, 3.0, 7.0, 6.0])
    found = Difference.of((5.0, 4.5), (first, second))
    assert (found.first, found.second, found.value, found.share_above) == (5.0, 4.5, 0.5, 0.6)
    assert found.interval == pytest.approx((-0.9, 1.0))


@pytest.mark.parametrize("recalls", [NUMPY_RECALLS, MATLAB_RECALLS])
def test_needed_is_what_the_division_says(recalls: tuple[float, ...]) -> None:
    """The evaluator divides found by asked and compares floats: .30000000000000004 is more than 3 / 10."""
    asked = np.arange(1, 600)
    needed = _needed(asked, np.array(recalls))
    for column, objects in enumerate(asked.tolist()):
        plain = np.searchsorted(np.arange(objects + 1) / objects, recalls)
        np.testing.assert_array_equal(needed[:, column], plain)


@pytest.mark.parametrize("rule", RULES)
def test_evaluation_asks_for_its_own_rule_and_thresholds(rule: Rule) -> None:
    detections, scenes = random_set(7, hard=0)
    truth = GroundTruth("random", scenes, ("a", "b", "c"), (0, 1, 2), rule)
    one = Evaluation(detections, truth, SEMANTICS["chainercv"], rule)
    matches = matched(detections, scenes, 3, IOUS, SEMANTICS["chainercv"])
    means = mean(resampled(matches, weights(len(scenes), 100, 3), rule))
    found = one.intervals(100, 3).overall
    for name, values in (("ap50", means[0]), ("ap75", means[5]), ("ap", means.mean(axis=0))):
        assert found[name] == tuple(np.percentile(values, [2.5, 97.5]))
    assert one.errors().ap == pytest.approx(one.scores.ap50)
    wrong = Detections(["000"], np.array([0]), np.array([0.5]), np.array([[500, 500, 510, 510]]))
    difference = one.minus(Evaluation(wrong, truth, one.semantics, rule), 100, 3)["ap75"]
    assert difference.value == one.scores.ap75
    assert difference.interval == found["ap75"], "less nothing"


def test_interval_of_the_real_case_holds_its_number(real_data: Path) -> None:
    case = real_case(real_data)
    matches = matched(case.detections, list(case.scenes), 20)  # type: ignore[arg-type]
    low, high = np.percentile(mean(resampled(matches, weights(200, 300), "11 points"))[0], [2.5, 97.5])
    assert low < case.expected["voc07_11point"]["AP50"] < high
    assert 1 < high - low < 15, "200 images are few"
