"""The component tree against connected components and contours found anew at every threshold."""

from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eval.errors import EvalError
from eval.localization.runs import Runs
from eval.localization.settings import Scale, Settings
from eval.localization.trace import Tracer, to_image, to_map
from eval.localization.truth import ScoreMap, Truth, Window
from tests.eval.localization_case import reference_case

SMALL = settings(max_examples=150, deadline=None)


def plain_iou(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """IoU of half-open boxes, [C, 4] x [G, 4] -> [C, G]."""
    out = np.zeros((len(one), len(two)))
    for c, (ax0, ay0, ax1, ay1) in enumerate(one):
        for g, (bx0, by0, bx1, by1) in enumerate(two):
            both = max(0, min(ax1, bx1) - max(ax0, bx0)) * max(0, min(ay1, by1) - max(ay0, by0))
            out[c, g] = both / ((ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - both)
    return out


def components(mask: np.ndarray) -> list[tuple[list[int], int, int]]:
    """(box, area, first pixel in raster order) of the 8-connected components."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    found = []
    for label in range(1, count):
        ys, xs = np.nonzero(labels == label)
        box = [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1]
        found.append((box, len(ys), int((ys * mask.shape[1] + xs).min())))
    return found


def plain_corrected(mask: np.ndarray, truth: np.ndarray) -> tuple[list[int], float, float]:
    found = components(mask)
    box = max(found, key=lambda one: (one[1], -one[2]))[0]
    return (
        box,
        float(plain_iou(np.array([box]), truth).max()),
        float(plain_iou(np.array([b for b, *_ in found]), truth).max()),
    )


def plain_compat(eight: np.ndarray, threshold: float, truth: np.ndarray) -> tuple[list[int], float, float]:
    """wsolevaluation's rule: a box of each contour, x + w and y + h clipped to the last pixel, taken as inclusive."""
    mask = (eight > int(threshold * float(eight.max()))).astype(np.uint8)
    contours = cv2.findContours(mask, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
    if not contours:
        box = [0, 0, 1, 1]
        return box, float(plain_iou(np.array([box]), truth).max()), float(plain_iou(np.array([box]), truth).max())
    boxes = []
    for x, y, w, h in map(cv2.boundingRect, contours):
        boxes.append([x, y, min(x + w, mask.shape[1] - 1) + 1, min(y + h, mask.shape[0] - 1) + 1])
    areas = [cv2.contourArea(contour) for contour in contours]
    largest = boxes[areas.index(max(areas))]
    return largest, float(plain_iou(np.array([largest]), truth).max()), float(plain_iou(np.array(boxes), truth).max())


def at(runs: tuple[Runs, Runs], threshold: float) -> tuple[list[int], float, float]:
    largest, best = runs
    i, j = int(largest.at(threshold)[0]), int(best.at(threshold)[0])
    return largest.boxes[i].tolist(), float(largest.iou[i]), float(best.iou[j])


@st.composite
def maps(draw: st.DrawFn) -> np.ndarray:
    """Small maps of few values: noise, plateaus, rings in rings."""
    height, width = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    values = draw(st.sampled_from([[0, 255], [0, 1, 2, 3], [0, 9, 100, 101, 200, 255], list(range(256))]))
    kind = draw(st.sampled_from(["noise", "blocks", "rings"]))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    if kind == "rings":
        y, x = np.mgrid[:height, :width]
        which = np.maximum(abs(y - height // 2), abs(x - width // 2)) + generator.integers(0, 2, (height, width))
        return np.asarray(np.array(values, np.uint8)[which % len(values)])
    side = 1 if kind == "noise" else 3
    few = generator.choice(values, (height // side + 1, width // side + 1)).astype(np.uint8)
    return few.repeat(side, 0).repeat(side, 1)[:height, :width]


@st.composite
def truths(draw: st.DrawFn, size: tuple[int, int]) -> np.ndarray:
    found = []
    for _ in range(draw(st.integers(1, 3))):
        x0, y0 = draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))
        found.append([x0, y0, draw(st.integers(x0 + 1, size[0])), draw(st.integers(y0 + 1, size[1]))])
    return np.array(found, float)


RING = np.pad(np.zeros((3, 3), np.uint8), 2, constant_values=200)


@SMALL
@given(st.data(), maps(), st.sampled_from(["max", "minmax"]))
@example(None, RING, "max")
def test_corrected_equals_components_at_every_threshold(
    data: st.DataObject | None, score_map: np.ndarray, scale: str
) -> None:
    height, width = score_map.shape
    boxes = data.draw(truths((width, height))) if data else np.array([[2.0, 2, 5, 5]])
    truth = Truth("a", (width, height), boxes)
    runs = Tracer(Settings(scale=scale))(score_map, truth)  # type: ignore[arg-type] # one of the two that there are
    low = int(score_map.min()) if scale == "minmax" else 0
    span = int(score_map.max()) - low
    thresholds = sorted({0.0, 0.15, 1.0, *np.random.default_rng(0).random(5)} | {v / 255 for v in range(0, 256, 5)})
    for threshold in thresholds:
        mask = (score_map.astype(float) - low) / span >= threshold if span else np.ones_like(score_map, bool)
        assert at(runs, threshold) == plain_corrected(mask, boxes), threshold


@SMALL
@given(st.data(), maps(), st.sampled_from([10, 100]))
@example(None, RING, 100)
@example(None, np.zeros((6, 6), np.uint8), 10)
def test_compat_equals_contours_at_every_threshold(
    data: st.DataObject | None, score_map: np.ndarray, levels: int
) -> None:
    boxes = data.draw(truths((224, 224))) if data else np.array([[2.0, 2, 5, 5]])
    settings_ = Settings(geometry="compat", levels=levels, threshold=0.1)
    runs = Tracer(settings_)(score_map, Truth("a", (224, 224), boxes))
    eight = (score_map / 255.0 * 255).astype(np.uint8)
    for threshold in np.arange(0, 1, 1 / levels):
        assert at(runs, threshold) == plain_compat(eight, threshold, boxes), threshold


@pytest.mark.parametrize("kind", ["smooth", "grainy", "folded"])
def test_compat_on_larger_maps(kind: str) -> None:
    generator, boxes = np.random.default_rng(9), np.array([[20.0, 30, 150, 160]])
    for _ in range(4):
        side = int(generator.integers(2, 9))
        score_map = cv2.resize(generator.random((side, side)), (64, 48), interpolation=cv2.INTER_CUBIC)
        if kind != "smooth":
            score_map = score_map + 0.1 * generator.random(score_map.shape)
        if kind == "folded":
            score_map = np.abs(score_map - 0.5)
        score_map = (score_map - score_map.min()) / np.ptp(score_map)
        runs = Tracer(Settings(geometry="compat", levels=100))(score_map, Truth("a", (224, 224), boxes))
        for threshold in np.arange(0, 1, 0.01):
            assert at(runs, threshold) == plain_compat((score_map * 255).astype(np.uint8), threshold, boxes), threshold


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("levels", ["exact", 1000, 7])
@pytest.mark.parametrize("scale", ["max", "minmax"])
def test_maps_of_floats(kind: type, levels: int | Literal["exact"], scale: Scale) -> None:
    score_map: np.ndarray = (np.random.default_rng(3).random((9, 11)) * 3 - 1).astype(kind)
    score_map[2:4, 3:6] = score_map.max()
    boxes = np.array([[2.0, 1, 7, 5], [0, 0, 11, 9]])
    runs = Tracer(Settings(levels=levels, scale=scale, threshold=0.0))(score_map, Truth("a", (11, 9), boxes))
    low = float(score_map.min()) if scale == "minmax" else 0.0
    scaled = (score_map.astype(float) - low) / (float(score_map.max()) - low)
    every = np.unique(scaled[scaled >= 0]) if levels == "exact" else np.arange(int(levels) + 1) / int(levels)
    for threshold in every:
        assert at(runs, threshold) == plain_corrected(scaled >= threshold, boxes), threshold


def test_ties_and_maps_that_say_nothing() -> None:
    two = np.zeros((5, 5), np.uint8)
    two[0, 3:5] = two[4, 0:2] = 9  # equal areas: the first in raster order
    truth = Truth("a", (5, 5), np.array([[0.0, 0, 2, 2]]))
    assert at(Tracer(Settings())(two, truth), 0.5)[0] == [3, 0, 5, 1]
    assert at(Tracer(Settings(geometry="compat"))(two, truth), 0.5)[0] == [0, 4, 3, 5]  # the last; one pixel too wide
    nothing = np.full((4, 6), -2.0)
    for scale in ("max", "minmax"):
        runs = Tracer(Settings(scale=scale))(nothing, Truth("b", (6, 4), np.array([[0.0, 0, 6, 2]])))
        assert at(runs, 0.15) == ([0, 0, 6, 4], 0.5, 0.5)


def test_a_perfect_map_of_any_size_scores_one() -> None:
    for height, width in ((7, 7), (448, 448), (30, 90)):
        score_map = np.zeros((height, width), np.float32)
        score_map[height // 7 * 2 : height // 7 * 4, width // 7 * 1 : width // 7 * 5] = 1
        box = np.array([[width // 7, height // 7 * 2, width // 7 * 5, height // 7 * 4]], float)
        image = to_image(box, score_map.shape, (0, 0, 500, 300), (500, 300))
        largest, best = Tracer(Settings())(score_map, Truth("a", (500, 300), image))
        assert largest.iou[largest.at(0.5)[0]] == pytest.approx(1, abs=1e-12)
        assert best.iou[best.at(0.5)[0]] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("threshold", "levels"), [(0.155, 100), (0.15, 7), (0.0001, 1000)])
def test_a_fixed_threshold_off_the_grid_is_refused(threshold: float, levels: int) -> None:
    with pytest.raises(EvalError, match="more levels"):
        Settings(threshold=threshold, levels=levels)
    assert Settings(threshold=threshold, levels="exact").threshold == threshold


def test_padding_is_left_out() -> None:
    """A map of 10 x 10 over an image of 100 x 60 that was padded above and below: rows 2 to 7 are the image."""
    window, truth = (0.0, -20.0, 100.0, 80.0), Truth("a", (100, 60), np.array([[20.0, 10, 50, 30]]))
    score_map = np.zeros((10, 10), np.float32)
    score_map[3:5, 2:5] = 0.5
    score_map[9, :] = 1.0  # brighter and larger, but in the padding
    largest, _ = Tracer(Settings())(score_map, truth, window)
    run = largest.at(0.9)
    assert largest.boxes[run].tolist() == [[2, 3, 5, 5]]  # pixels of the whole map
    assert largest.iou[run].tolist() == [1.0]
    with pytest.raises(EvalError, match="no pixel in the image"):
        Tracer(Settings())(score_map, truth, (0, 70, 100, 170))


@pytest.mark.parametrize("window", [(0, 0, 100, 60), (12.5, 7.5, 87.5, 52.5), (0, -20, 100, 80)])
def test_boxes_are_compared_in_the_image(window: Window) -> None:
    score_map = np.random.default_rng(5).integers(0, 256, (8, 10)).astype(np.uint8)
    truth = Truth("a", (100, 60), np.array([[10.0, 10, 60, 50]]))
    largest, _ = Tracer(Settings())(score_map, truth, window)
    for run in range(len(largest.ends)):
        image = to_image(largest.boxes[run : run + 1].astype(float), score_map.shape, window, (100, 60))
        assert (image[:, :2] >= 0).all()
        assert (image[:, 2:] <= [100, 60]).all()
        assert (image[:, :2] < image[:, 2:]).all()
        assert largest.iou[run] == pytest.approx(plain_iou(image, truth.boxes).max(), abs=1e-12)
    there = to_map(truth.boxes, score_map.shape, window)
    back = to_image(there, score_map.shape, window, (100, 60))
    np.testing.assert_allclose(back, truth.boxes, atol=1e-9)


@pytest.mark.parametrize(
    ("score_map", "settings_", "says"),
    [
        (np.full((3, 3), np.nan), Settings(), "NaN or infinity at 9 pixels"),
        (np.array([[1.0, np.inf]]), Settings(), "first at y, x [0, 1]"),
        (np.zeros((2, 2, 2)), Settings(), "shape (2, 2, 2)"),
        (np.zeros((0, 4)), Settings(), "shape (0, 4)"),
        (np.zeros((3, 3), np.int64), Settings(), "type int64"),
        (np.full((3, 3), 1.5), Settings(geometry="compat"), "0 to 1"),
    ],
)
def test_bad_maps_are_named(score_map: np.ndarray, settings_: Settings, says: str) -> None:
    with pytest.raises(EvalError, match=r"im/1\.jpg") as error:
        Tracer(settings_)(score_map, Truth("im/1.jpg", (3, 3), np.array([[0.0, 0, 2, 2]])))
    assert says in str(error.value)


@pytest.mark.parametrize("boxes", [np.empty((0, 4)), np.array([[2.0, 1, 2, 5]]), np.array([[5.0, 5, 9, 9]])])
def test_bad_boxes_are_named(boxes: np.ndarray) -> None:
    with pytest.raises(EvalError, match="im/1"):
        Tracer(Settings())(np.eye(3), Truth("im/1", (3, 3), boxes))


def test_boxes_may_be_a_list_but_must_be_numbers() -> None:
    assert Truth("a", (3, 3), [[0, 0, 2, 2]]).boxes.dtype == np.float64  # type: ignore[arg-type] # as users will
    with pytest.raises(EvalError, match=r"im/1: boxes .* expected rows"):
        Truth("im/1", (3, 3), [["a", 0, 1, 1]])  # type: ignore[arg-type] # what is refused


def test_ranked_classes_must_be_a_sequence() -> None:
    with pytest.raises(EvalError, match="im/1: ranked classes 3"):
        ScoreMap("im/1", np.eye(2), None, 3)  # type: ignore[arg-type] # what is refused


@pytest.mark.parametrize("levels", [100, 1000])
def test_the_published_counts(real_data: Path, levels: int) -> None:
    case = reference_case(real_data)
    tracer = Tracer(Settings(geometry="compat", levels=levels))
    traced = [tracer(score_map, truth) for score_map, truth in zip(case.maps, case.truths, strict=True)]
    thresholds = np.arange(0, 1, 1 / levels)
    for which, contours in enumerate(("largest", "all")):
        iou = np.array([[runs[which].iou[runs[which].at(t)[0]] for t in thresholds] for runs in traced])
        expected = next(
            one for one in case.expected["box"]
            if one["contours"] == contours and one["threshold_interval"] == 1 / levels
        )  # fmt: skip
        for delta, accuracy in expected["max_box_acc"].items():
            counts = (iou >= int(delta) / 100).sum(axis=0)
            assert 100 * counts.max() / len(iou) == accuracy
            if levels == 100:
                assert counts.tolist() == expected["correct_per_threshold"][delta]
