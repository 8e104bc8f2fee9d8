"""Localization against wsolevaluation's published counts, a flood fill in plain Python, and cases done by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from eval.errors import EvalError
from eval.localization_old import THRESHOLDS, best_ious, box_iou, components, largest_box, localize, max_box_acc_v2


def wsol_case(folder: Path) -> tuple[np.ndarray, list[np.ndarray], list[str]]:
    """The maps [80, 224, 224], boxes scaled to them as wsolevaluation does (whole pixels; half-open here)."""
    archive = np.load(folder / "scoremaps.npz")
    sizes = dict(line.split(",", 1) for line in (folder / "image_sizes.txt").read_text().split())
    boxes: dict[str, list[list[int]]] = {name: [] for name in archive["ids"].tolist()}
    for line in (folder / "localization.txt").read_text().split():
        name, *numbers = line.split(",")
        width, height = map(int, sizes[name].split(","))
        corners = [int(int(n) * (224 / side)) for n, side in zip(numbers, (width, height) * 2, strict=True)]
        boxes[name].append([min(corner, 223) for corner in corners])
    return archive["maps"], [np.add(known, [0, 0, 1, 1]) for known in boxes.values()], list(boxes)


def test_counts_of_wsolevaluation(real_data: Path) -> None:
    """Masks, components and IoU are exactly its own, once its boxes' extra pixel is added (x + w as inclusive)."""
    maps, truth, _ = wsol_case(real_data / "metrics/wsol")
    published = json.loads((real_data / "metrics/wsol/expected.json").read_text())["box"][2]
    assert (published["contours"], published["threshold_interval"]) == ("all", 0.01)
    best = np.zeros((len(maps), 100))
    for image, (score_map, known) in enumerate(zip(maps, truth, strict=True)):
        scaled = score_map / 255
        for place, threshold in enumerate(THRESHOLDS):
            boxes = components(scaled > threshold)[0]
            best[image, place] = box_iou(np.minimum(np.add(boxes, [0, 0, 1, 1]), 224), known).max()
    for percent, counts in published["correct_per_threshold"].items():
        assert (best >= int(percent) / 100).sum(axis=0).tolist() == counts


def test_max_box_acc_near_wsolevaluation(real_data: Path) -> None:
    """An extra pixel on boxes of some 100 changes IoU by some 2%, which may turn an image of 80 or two (1.25% each)."""
    maps, truth, ids = wsol_case(real_data / "metrics/wsol")
    published = json.loads((real_data / "metrics/wsol/expected.json").read_text())["box"][2]["max_box_acc"]
    ours = max_box_acc_v2(maps, truth, ids)
    assert {f"{100 * iou:g}": value for iou, value in ours.per_iou.items()} == pytest.approx(published, abs=2.5)
    assert ours.mean == pytest.approx(sum(ours.per_iou.values()) / 3)


def flood(mask: np.ndarray) -> list[tuple[int, int, int, int, int]]:
    """Area and half-open box of every 8-connected component, by flood fill."""
    left, found = {(int(y), int(x)) for y, x in np.argwhere(mask)}, []
    while left:
        edge, component = [left.pop()], []
        while edge:
            y, x = edge.pop()
            component.append((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            edge += near
        ys, xs = zip(*component, strict=True)
        found.append((len(component), min(xs), min(ys), max(xs) + 1, max(ys) + 1))
    return found


def random_map(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((14, 17), dtype=np.float32) ** 3


@pytest.mark.parametrize("seed", range(5))
def test_largest_box_against_flood_fill(seed: int) -> None:
    score_map = random_map(seed)
    found = flood(score_map >= 0.15 * score_map.max())
    area = max(entry[0] for entry in found)
    assert tuple(largest_box(score_map, 0.15)) in {entry[1:] for entry in found if entry[0] == area}


@pytest.mark.parametrize("seed", range(3))
def test_best_ious_against_flood_fill(seed: int) -> None:
    score_map = random_map(seed)
    truth = np.array([[2.0, 3.0, 9.5, 11.0], [10.0, 1.0, 16.0, 6.0]])
    scaled = (score_map.astype(float) - score_map.min()) / (float(score_map.max()) - score_map.min())
    plain = [
        box_iou(np.array([entry[1:] for entry in flood(scaled > threshold)]), truth).max() for threshold in THRESHOLDS
    ]
    assert best_ious(score_map, truth) == pytest.approx(np.array(plain), abs=1e-12)


def test_iou_by_hand() -> None:
    boxes = np.array([[0.0, 0.0, 10.0, 10.0]])
    others = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2.5, 2.5, 7.5, 7.5]])
    assert box_iou(boxes, others)[0] == pytest.approx([1, 1 / 3, 0, 0.25])


def peak(box: tuple[int, int, int, int], value: float = 1.0) -> np.ndarray:
    score_map = np.zeros((20, 20), np.float32)
    score_map[box[1] : box[3], box[0] : box[2]] = value
    return score_map


def test_localize_by_hand() -> None:
    diagonal = peak((0, 0, 4, 4)) + peak((4, 4, 8, 8), 0.2)  # touches by a corner: one component of 0..8
    maps = np.stack([peak((2, 3, 12, 13)), peak((0, 0, 5, 10)), diagonal, diagonal])
    boxes = [[[2, 3, 12, 13]], [[0, 0, 10, 10]], [[0, 0, 8, 8], [15, 15, 20, 20]], [[0, 0, 4, 4]]]
    result = localize(maps, boxes, np.array([True, True, False, True]), ["a", "b", "c", "d"])
    assert result.boxes.tolist() == [[2, 3, 12, 13], [0, 0, 5, 10], [0, 0, 8, 8], [0, 0, 8, 8]]
    assert result.ious.tolist() == [1, 0.5, 1, 0.25]  # exactly a half does not count
    assert (result.gt_known_loc, result.top1_loc) == (50.0, 25.0)


def test_largest_is_by_area_and_ties_go_up() -> None:
    score_map = peak((0, 15, 2, 17), 1.0) + peak((5, 0, 15, 1), 0.15) + peak((5, 10, 15, 11), 0.15)
    assert largest_box(score_map, 0.15).tolist() == [5, 0, 15, 1]
    assert largest_box(score_map, 0.2).tolist() == [0, 15, 2, 17]


def test_map_without_an_opinion_predicts_everything() -> None:
    whole = [[0, 0, 20, 20]]
    for value in (0.0, -1.0, 3.0):
        flat = np.full((1, 20, 20), value, np.float32)
        assert localize(flat, [whole], np.array([True]), ["a"]).top1_loc == 100
        assert max_box_acc_v2(flat, [whole], ["a"]).mean == 100


def test_max_box_acc_takes_each_ious_own_threshold_and_any_component() -> None:
    core_in_halo = np.maximum(peak((0, 0, 10, 10), 0.5), peak((2, 2, 8, 8)))
    maps = np.stack([core_in_halo, peak((0, 0, 10, 5)) + peak((0, 10, 3, 13))])
    result = max_box_acc_v2(maps, [[[2, 2, 8, 8]], [[0, 10, 3, 13]]], ["a", "b"])
    assert result.per_iou == {0.3: 100.0, 0.5: 100.0, 0.7: 100.0}
    assert result.thresholds == {0.3: 0.0, 0.5: 0.5, 0.7: 0.5}


def test_refused() -> None:
    maps, box, right = np.zeros((2, 4, 4), np.float32), [[0, 0, 2, 2]], np.array([True, False])
    holed = maps.copy()
    holed[1, 2, 2] = np.nan
    with pytest.raises(EvalError, match="1 of 2 score maps hold NaN or infinity: b"):
        localize(holed, [box, box], right, ["a", "b"])
    with pytest.raises(EvalError, match="1 of 2 score maps hold NaN or infinity: b"):
        max_box_acc_v2(holed, [box, box], ["a", "b"])
    with pytest.raises(EvalError, match="image 'b': boxes of shape"):
        localize(maps, [box, np.zeros((0, 4))], right, ["a", "b"])
    with pytest.raises(EvalError, match="image 'b': a box without area"):
        localize(maps, [box, [[2, 2, 2, 3]]], right, ["a", "b"])
    with pytest.raises(EvalError, match="2 ids, 1 lists of boxes"):
        localize(maps, [box], right, ["a", "b"])
    with pytest.raises(EvalError, match="expected 2 booleans"):
        localize(maps, [box, box], [1, 0], ["a", "b"])
