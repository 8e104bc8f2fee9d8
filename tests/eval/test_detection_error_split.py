"""TIDE's kinds of errors: drawn cases whose answer is plain, and what dbolya/tide 49a5d2a says of two others."""

from dataclasses import astuple, fields, replace
from pathlib import Path

import numpy as np
import pytest

from eval.detection.detections import Detections
from eval.detection.error_split import Error, ErrorSplit, split_errors
from eval.detection.matching import Matches
from eval.detection.semantics import Semantics
from eval.detection.voc import average_precision
from tests.eval.detection_sets import Box, Image, matched, random_set, real_case

KINDS = [field.name for field in fields(ErrorSplit) if field.name not in {"iou", "ap"}]
TIDES = Semantics("TIDE's", at_least=True)  # on boxes that never find their second best object, the same as COCO's

OBJECTS = Image(
    "1",
    boxes=((0, 0, 10, 10), (100, 0, 110, 10), (200, 0, 210, 10), (300, 0, 310, 10)),
    labels=(0, 0, 1, 0),
    difficult=(False, False, False, True),
)


def split_of(*found: tuple[Box, int, float], image: Image = OBJECTS) -> ErrorSplit:
    boxes, labels, scores = zip(*found, strict=True)
    detections = Detections(["1"] * len(found), np.array(labels), np.array(scores), np.array(boxes, float))
    return split_errors(matched(detections, [image], 2), lambda matches: average_precision(matches, "area"))


def counts(split: ErrorSplit) -> dict[str, int]:
    return {name: getattr(split, name).count for name in KINDS if getattr(split, name).count}


RIGHT: tuple[Box, int, float] = ((0, 0, 10, 10), 0, 0.9)
NOT_FOUND = {"missed": 2, "false_negatives": 2}  # beside RIGHT


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (((0, 0, 10, 9), 0, 0.8), {"duplicate": 1, "false_positives": 1} | NOT_FOUND),
        (((100, 0, 104, 10), 0, 0.8), {"localisation": 1, "false_positives": 1, "missed": 1, "false_negatives": 2}),
        (((200, 0, 210, 10), 0, 0.8), {"classification": 1, "false_positives": 1, "missed": 1, "false_negatives": 2}),
        (((200, 0, 204, 10), 0, 0.8), {"both": 1, "false_positives": 1} | NOT_FOUND),
        (((200, 0, 201, 10), 0, 0.8), {"background": 1, "false_positives": 1} | NOT_FOUND),  # IoU of exactly .1
        (((50, 50, 60, 60), 0, 0.8), {"background": 1, "false_positives": 1} | NOT_FOUND),
        (((300, 0, 310, 10), 0, 0.8), NOT_FOUND),  # difficult: neither
        (((300, 0, 310, 10), 1, 0.8), {"background": 1, "false_positives": 1} | NOT_FOUND),  # not asked for
        (((100, 0, 105, 10), 0, 0.8), {"localisation": 1, "false_positives": 1, "missed": 1, "false_negatives": 2}),
    ],
)
def test_kinds(found: tuple[Box, int, float], expected: dict[str, int]) -> None:
    assert counts(split_of(RIGHT, found)) == expected


def test_gains() -> None:
    """Class 0: one of two found, AP .5; class 1: none of one, AP 0; the mean is 25."""
    split = split_of(RIGHT, ((100, 0, 104, 10), 0, 0.8), ((200, 0, 210, 10), 0, 0.7))
    assert split.ap == 25
    assert split.localisation == Error(1, 25.0), "class 0 is whole"
    assert split.classification == Error(1, 50.0), "class 1 is whole; class 0 had nothing to gain"
    assert split.missed == Error(0, 0.0)
    assert split.false_positives == Error(2, 0.0)
    assert split.false_negatives == Error(2, 25.0), "class 1 has nothing left to ask for, and stays at 0"


def test_of_several_about_one_object_the_highest_score_is_mended() -> None:
    split = split_of(((100, 0, 104, 10), 0, 0.8), RIGHT, ((104, 0, 110, 5), 0, 0.95), ((100, 0, 110, 10), 1, 0.7))
    assert counts(split) == {
        "localisation": 2, "classification": 1, "false_positives": 3, "missed": 1, "false_negatives": 2
    }  # fmt: skip
    assert split.ap == 12.5, "class 0: one of two objects, by the second detection; class 1: nothing"
    assert split.localisation.gain == 37.5, "the .95 becomes right, the .8 goes"
    assert split.classification.gain == 0, "the .95 would have it, so that this one goes"


def test_an_object_that_is_found_is_not_mended_again() -> None:
    split = split_of(((0, 0, 10, 10), 1, 0.95), RIGHT)
    assert split.classification == Error(1, 0.0)


def average_at_101(matches: Matches) -> np.ndarray:
    """COCO's and TIDE's rule: the mean precision at recalls 0, .01, ..., 1."""
    table = np.full((len(matches.asked), 1), np.nan)
    for k in np.flatnonzero(matches.asked):
        right = matches.right[0][(matches.labels == k) & matches.counted[0]]
        precision = np.append(np.cumsum(right) / np.arange(1, len(right) + 1), 0.0)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        recalls = np.array([i / 100 for i in range(101)])
        table[k, 0] = envelope[np.searchsorted(np.cumsum(right) / matches.asked[k], recalls)].mean()
    return table


TIDE_SAYS = {
    0: (
        (68.442239, 6.389688, 12.569339, 0.060122, 9.101306, 0.0, 0.0, 23.967002, 5.730305),
        {"classification": 16, "localisation": 25, "both": 2, "duplicate": 60, "background": 0, "missed": 0},
    ),
    5: (
        (48.752019, 2.584315, 37.536302, 0.0, 2.85267, 0.400796, 0.0, 31.446001, 12.027508),
        {"classification": 8, "localisation": 57, "both": 2, "duplicate": 41, "background": 2, "missed": 0},
    ),
}


@pytest.mark.parametrize("seed", TIDE_SAYS)
def test_agrees_with_tide(seed: int) -> None:
    detections, scenes = random_set(seed, hard=0)
    count = len(detections.scores)  # scores that are never equal: TIDE's order of ties is chance
    detections = replace(detections, scores=np.random.default_rng(seed).permutation(count) / (count + 1))
    split = split_errors(matched(detections, scenes, 3, (0.5,), TIDES), average_at_101)
    numbers, kinds = TIDE_SAYS[seed]
    gains = [split.ap, *(getattr(split, name).gain for name in KINDS)]
    assert gains == pytest.approx(numbers, abs=1e-6)
    assert {name: getattr(split, name).count for name in kinds} == kinds


def test_real_case_is_near_tide(real_data: Path) -> None:
    """TIDE's numbers of the case without its difficult objects; a few objects are matched otherwise there."""
    case = real_case(real_data)
    scenes = [
        Image(
            scene.id,
            tuple(box for box, hard in zip(scene.boxes, scene.difficult, strict=True) if not hard),
            tuple(label for label, hard in zip(scene.labels, scene.difficult, strict=True) if not hard),
            (False,) * sum(not hard for hard in scene.difficult),
        )
        for scene in case.scenes
    ]
    split = split_errors(matched(case.detections, scenes, 20, (0.5,), TIDES), average_at_101)
    tide = {
        "classification": (64, 8.377999), "localisation": (50, 3.614217), "both": (446, 2.663074),
        "duplicate": (81, 0.329915), "background": (774, 9.850741), "missed": (59, 6.552778),
    }  # fmt: skip
    for name, (count, gain) in tide.items():
        assert getattr(split, name).count == pytest.approx(count, abs=1)
        assert getattr(split, name).gain == pytest.approx(gain, abs=0.03)


def test_the_thresholds_column_is_the_one_split() -> None:
    detections, scenes = random_set(4)
    matches = matched(detections, scenes, 3, (0.5, 0.75))
    alone = split_errors(matched(detections, scenes, 3, (0.75,)), average_precision)
    assert astuple(split_errors(matches, average_precision, column=1)) == astuple(alone)
    assert alone.iou == 0.75
