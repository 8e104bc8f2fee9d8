"""Each program's rules against its formula written plainly, and against what the programs themselves printed."""

import json
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.data.voc import VOC_CLASSES, annotations
from eval.detection.detections import Detections
from eval.detection.matching import Matches, match, rounded
from eval.detection.semantics import SEMANTICS, VARIANTS, Rule, Semantics
from eval.detection.truth import Truth
from eval.detection.voc import IOUS, SIZES, average_precision, scores, voc_ap
from tests.eval.detection_sets import Image, random_set

RULES: tuple[Rule, ...] = ("11 points", "area")
EVERYTHING = (0.0, float("inf"))
PYTHON = [0.1 * i for i in range(11)]
MATLAB = [0.1 * i if i <= 5 else 1 - 0.1 * (10 - i) for i in range(11)]


@dataclass(frozen=True)
class Plain:
    """A program's rules once more, as read in its source."""

    passes: Callable[[float, float], bool]
    shift: int = 0
    plus: int = 1
    recalls: Sequence[float] = tuple(PYTHON)


PROGRAMS = {
    "detectron2": Plain(operator.gt),
    "voc-devkit": Plain(operator.ge, recalls=MATLAB),
    "chainercv": Plain(operator.ge),
    "ssd.pytorch": Plain(operator.gt, shift=-1, plus=0),
    "py-faster-rcnn": Plain(operator.gt),
}


def overlap(found: Sequence[float], box: Sequence[float], rules: Plain) -> float:
    """IoU of half-open boxes, after the program's conversions."""
    x0, y0, x1, y1 = found[0] + 1, found[1] + 1, found[2], found[3]
    a0, b0, a1, b1 = (value + rules.shift for value in (box[0] + 1, box[1] + 1, box[2], box[3]))
    width, height = min(x1, a1) - max(x0, a0) + rules.plus, min(y1, b1) - max(y0, b0) + rules.plus
    inside = max(width, 0) * max(height, 0)
    areas = (x1 - x0 + rules.plus) * (y1 - y0 + rules.plus), (a1 - a0 + rules.plus) * (b1 - b0 + rules.plus)
    return inside / (sum(areas) - inside)


def area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def outcomes(
    found: Detections, scenes: list[Image], label: int, threshold: float, rules: Plain, size: tuple[float, float]
) -> list[bool]:
    """Right or wrong, for each detection of a class that counts, best first: one at a time."""
    truth = {scene.id: scene for scene in scenes}
    taken: set[tuple[str, int]] = set()
    order = sorted(
        (d for d in range(len(found.scores)) if found.labels[d] == label),
        key=lambda d: (-found.scores[d], found.image_ids[d], *found.boxes[d]),
    )
    result = []
    for d in order:
        scene = truth[found.image_ids[d]]
        ious = {g: overlap(found.boxes[d], box, rules) for g, box in enumerate(scene.boxes) if scene.labels[g] == label}
        best = max(ious, key=lambda g: ious[g], default=-1)  # the first of equals
        if best >= 0 and rules.passes(ious[best], threshold):
            if scene.difficult[best] or not size[0] <= area(scene.boxes[best]) < size[1]:
                continue
            if (scene.id, best) not in taken:
                taken.add((scene.id, best))
                result.append(True)
                continue
        if size[0] <= area(found.boxes[d]) < size[1]:
            result.append(False)
    return result


def plain_ap(
    found: Detections,
    scenes: list[Image],
    label: int,
    threshold: float,
    rules: Plain,
    rule: Rule,
    size: tuple[float, float] = EVERYTHING,
) -> float:
    right = outcomes(found, scenes, label, threshold, rules, size)
    asked = sum(
        kind == label and not hard and size[0] <= area(box) < size[1]
        for scene in scenes
        for box, kind, hard in zip(scene.boxes, scene.labels, scene.difficult, strict=True)
    )
    if not asked:
        return float("nan")
    recall = [sum(right[: i + 1]) / asked for i in range(len(right))]
    precision = [sum(right[: i + 1]) / (i + 1) for i in range(len(right))]
    if rule == "11 points":
        reached = [[p for p, r in zip(precision, recall, strict=True) if r >= t] for t in rules.recalls]
        return sum(max(values, default=0.0) for values in reached) / 11
    best_from = [max(precision[i:]) for i in range(len(right))]
    return sum((r - s) * p for r, s, p in zip(recall, [0.0, *recall], best_from, strict=False))


def matched(found: Detections, scenes: list[Image], semantics: Semantics, ious: Sequence[float] = (0.5,)) -> Matches:
    return match(found, Truth.of(scenes, 3), ious, semantics)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", SEMANTICS)
def test_against_the_program_written_plainly(name: str, rule: Rule) -> None:
    ious = (0.3, 0.5, 0.7)
    for seed in range(3):
        found, scenes = random_set(seed)
        table = average_precision(matched(found, scenes, SEMANTICS[name], ious), rule)
        plain = [[plain_ap(found, scenes, label, iou, PROGRAMS[name], rule) for iou in ious] for label in range(3)]
        assert table == pytest.approx(np.array(plain), abs=1e-12)


@pytest.mark.parametrize("name", ["detectron2", "ssd.pytorch"])
def test_sizes_against_the_program_written_plainly(name: str) -> None:
    ious, limits = (0.3, 0.5), ((0.0, 200.0), (200.0, 300.0), (300.0, float("inf")))
    for seed in range(3):
        found, scenes = random_set(seed)
        whole = matched(found, scenes, SEMANTICS[name], ious)
        for size in limits:
            table = average_precision(whole.of_size(*size), "area")
            plain = [
                [plain_ap(found, scenes, label, iou, PROGRAMS[name], "area", size) for iou in ious]
                for label in range(3)
            ]
            assert table == pytest.approx(np.array(plain), abs=1e-12, nan_ok=True)
        assert sum(whole.of_size(*size).asked for size in limits) == pytest.approx(whole.asked)


PRINTED = {
    ("ssd.pytorch", "11 points"): (58.77029702123275, 37.82890073833438),
    ("ssd.pytorch", "area"): (59.09879099185476, 37.074054154476514),
    ("py-faster-rcnn", "11 points"): (58.51770478588189, 39.75729818722287),
    ("py-faster-rcnn", "area"): (58.790955149536174, 38.8330488684367),
    ("chainercv", "11 points"): (58.5177047858819, 39.75729818722288),
    ("chainercv", "area"): (58.790955149536174, 38.833048868436705),
    ("voc-devkit", "11 points"): (58.87801604325199, 39.94510636834658),
    ("voc-devkit", "area"): (58.790955149536174, 38.83304886843671),
}
"""AP50 and AP75 of metrics/voc's detections, written as VOC text files, by the programs themselves: the sources that
`eval.detection.semantics` names; the devkit in Octave 7.3, with MATLAB's eleven recalls, and its area written out."""


@pytest.mark.parametrize(("name", "rule"), PRINTED)
def test_agrees_with_what_the_program_prints(real_data: Path, name: str, rule: Rule) -> None:
    case = json.loads((real_data / "metrics/voc/detections.json").read_text())
    ids = set((real_data / "metrics/voc/image_ids.txt").read_text().split())
    found = Detections(
        [entry["image_id"] for entry in case],
        np.array([VOC_CLASSES.index(entry["category"]) for entry in case]),
        np.array([entry["score"] for entry in case]),
        np.array([entry["bbox_xyxy_0based"] for entry in case]),
    )
    scenes = [scene for scene in annotations(real_data / "VOCdevkit", "2007", "test") if scene.id in ids]
    ours = voc_ap(found, scenes, VOC_CLASSES, rule, SEMANTICS[name])
    assert (ours.ap50, ours.ap75) == pytest.approx(PRINTED[name, rule], abs=1e-12)


def ap(box: tuple[float, float, float, float], threshold: float, name: str) -> float:
    """Of one detection of one object of 10 x 10 pixels."""
    scene = Image("1", ((0.0, 0.0, 10.0, 10.0),), (0,), (False,))
    found = Detections(["1"], np.array([0]), np.array([0.5]), np.array([box]))
    return float(average_precision(match(found, Truth.of([scene], 1), (threshold,), SEMANTICS[name]))[0, 0])


@pytest.mark.parametrize(("name", "hit"), [(n, n in ("voc-devkit", "chainercv")) for n in PROGRAMS])
def test_iou_of_exactly_half(name: str, hit: bool) -> None:
    assert ap((0, 0, 5, 10), 0.5, name) == pytest.approx(float(hit))


def test_ssd_moves_objects_by_a_pixel() -> None:
    exact = (0, 0, 10, 10)  # 9 x 9 in its eyes, of which 8 x 8 are shared: 64 / 98
    assert ap(exact, 0.65, "ssd.pytorch") == pytest.approx(1)
    assert ap(exact, 0.66, "ssd.pytorch") == 0
    assert ap((-1, -1, 9, 9), 0.99, "ssd.pytorch") == pytest.approx(1)


@pytest.mark.parametrize(("found", "numpy", "matlab"), [(3, 3, 3), (6, 6, 7), (7, 7, 8), (8, 9, 9)])
def test_a_recall_between_two_programs_points(found: int, numpy: int, matlab: int) -> None:
    """Of ten objects the first so many are found, and nothing else."""
    boxes = tuple((20.0 * i, 0.0, 20.0 * i + 10, 10.0) for i in range(10))
    scene = Image("1", boxes, (0,) * 10, (False,) * 10)
    detections = Detections(["1"] * found, np.zeros(found, int), np.linspace(0.9, 0.1, found), np.array(boxes[:found]))
    for name, points in (("detectron2", numpy), ("voc-devkit", matlab)):
        assert voc_ap(detections, [scene], ["a"], "11 points", SEMANTICS[name]).ap50 == pytest.approx(100 * points / 11)


def test_difficult_objects_asked_for_or_left_out() -> None:
    found, scenes = random_set(5)
    asked = [replace(scene, difficult=(False,) * len(scene.boxes)) for scene in scenes]
    absent = []
    for scene in scenes:
        kept = [g for g, hard in enumerate(scene.difficult) if not hard]
        boxes, labels = tuple(scene.boxes[g] for g in kept), tuple(scene.labels[g] for g in kept)
        absent.append(Image(scene.id, boxes, labels, (False,) * len(kept)))
    for name, changed in (("asked for", asked), ("left out", absent)):
        variant = VARIANTS[f"detectron2, difficult {name}"]
        assert voc_ap(found, scenes, "abc", semantics=variant) == voc_ap(found, changed, "abc")
    assert voc_ap(found, scenes, "abc") != voc_ap(found, asked, "abc")


def test_rounding_is_that_of_a_text_file() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.random(2000) * 500, np.arange(400) / 2000, -rng.random(50), np.arange(99) + 0.05])
    for digits in (1, 3):
        assert rounded(values, digits).tolist() == [float(f"{value:.{digits}f}") for value in values.tolist()]


def test_rounded_semantics_score_the_rounded_file() -> None:
    rng = np.random.default_rng(1)
    found, scenes = random_set(6)
    exact = Detections(
        found.image_ids,
        found.labels,
        found.scores * 0.9 + rng.random(len(found.scores)) * 0.01,
        found.boxes + rng.uniform(0, 0.3, (len(found.scores), 1)),
    )
    written = Detections(found.image_ids, found.labels, exact.scores.round(3), (exact.boxes + 1).round(1) - 1)
    semantics = VARIANTS["detectron2, rounded as written"]
    assert voc_ap(exact, scenes, "abc", semantics=semantics) == voc_ap(written, scenes, "abc")


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_no_order_of_images_or_entries_matters(random: Random) -> None:
    found, scenes = random_set(7, images=5)
    tied = Detections(found.image_ids, found.labels, (found.scores * 4).round() / 4, found.boxes)
    entries, images = list(range(len(tied.scores))), list(scenes)
    random.shuffle(entries)
    random.shuffle(images)
    turned = Detections(
        [tied.image_ids[d] for d in entries], tied.labels[entries], tied.scores[entries], tied.boxes[entries]
    )
    for name in ("detectron2", "ssd.pytorch"):
        before, after = (
            voc_ap(one, two, "abc", semantics=SEMANTICS[name]) for one, two in ((tied, scenes), (turned, images))
        )
        assert before == after


def test_matches_say_what_happened_to_each_detection() -> None:
    scenes = [
        Image("b", ((0, 0, 10, 10), (50, 0, 60, 10), (0, 50, 200, 250)), (0, 0, 1), (False, True, False)),
        Image("a", (), (), ()),
    ]
    boxes = [(0, 0, 10, 9), (0, 0, 10, 10), (50, 0, 60, 10), (90, 0, 99, 9), (0, 50, 200, 250), (5, 5, 9, 9)]
    found = Detections(
        ["b", "b", "b", "b", "b", "a"],
        np.array([0, 0, 0, 0, 1, 1]),
        np.array([0.5, 0.8, 0.7, 0.6, 0.4, 0.9]),
        np.array(boxes),
    )
    whole = match(found, Truth.of(scenes, 3), (0.5, 0.95), SEMANTICS["detectron2"])
    assert whole.index.tolist() == [5, 1, 2, 3, 0, 4]
    assert whole.scores.tolist() == [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    assert whole.images.tolist() == [0, 1, 1, 1, 1, 1]
    assert whole.best.tolist() == [-1, 0, 1, 0, 0, 2]  # the fourth touches neither: the first of equals
    assert whole.iou == pytest.approx([-1, 1, 1, 0, 0.9, 1])
    assert whole.right.tolist() == [[False, True, False, False, False, True]] * 2
    assert whole.counted.tolist() == [[True, True, False, True, True, True]] * 2
    assert whole.objects.tolist() == [[-1, 0, 1, -1, 0, 2], [-1, 0, 1, -1, -1, 2]]
    assert whole.asked.tolist() == [1, 1, 0]
    assert [part.tolist() for part in whole.asked_by_image] == [[0, 1], [1, 1]]
    sizes = scores(match(found, Truth.of(scenes, 3), IOUS, SEMANTICS["detectron2"]), "abc")
    assert set(sizes.per_size) == {"small", "large"} < set(SIZES)
    assert {name: size.objects for name, size in sizes.per_size.items()} == {"small": 1, "large": 1}
    assert sizes.per_size["large"].ap == pytest.approx(100)  # the wrong detections are small
    assert sizes.without_ground_truth == ("c",)
