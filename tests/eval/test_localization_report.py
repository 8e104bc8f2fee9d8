"""All measures against their definitions written plainly, against wsolevaluation's published numbers, and by hand."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.errors import EvalError
from eval.localization import Part, Report, Settings, evaluate, examine, report
from eval.localization.bootstrap import Bootstrap, interval
from eval.localization.gather import Parts
from eval.localization.masks import thresholds
from tests.eval.localization_case import reference_case
from tests.eval.localization_runs import Image, every_threshold, images, iou_at, runs

IOUS = (30, 50, 70)


def part(largest: list[Image], any_component: list[Image], right: np.ndarray | None = None, name: str = "i") -> Part:
    count = len(largest)
    boxes = np.tile(np.array([[0, 0, 4, 2]], np.int32), (sum(map(len, largest)), 1))
    empty = np.zeros((0, len(thresholds(Settings()))), np.uint32)
    return Part(
        ids=tuple(f"{name}{i}" for i in range(count)),
        windows=np.tile([0.0, 0, 20, 10], (count, 1)),
        shapes=np.tile(np.array([[5, 10]], np.int32), (count, 1)),
        sizes=np.tile(np.array([[20, 10]], np.int32), (count, 1)),
        largest=runs(largest, boxes),
        any=runs(any_component),
        right=np.zeros((count, 2), bool) if right is None else right,
        ranks=np.full(count, 0 if right is None else 5, np.int32),
        whole_iou=np.full(count, 0.5),
        centre_iou=np.tile(np.linspace(0.01, 1, 100), (count, 1)),
        inside=empty,
        outside=empty,
        pixels=np.empty(0),
        centre_inside=np.zeros((0, 200), np.uint32),
        centre_outside=np.zeros((0, 200), np.uint32),
        skipped=(),
        shifted=0,
        silent=(),
    )


def of(*parts: Part) -> Parts:
    return lambda: iter(parts)


def percent(hit: list[bool]) -> float:
    return 100 * sum(hit) / len(hit)


@given(images(), images(), st.integers(0, 2**32), st.sampled_from([0.0, 0.15, 0.5]))
@settings(max_examples=100, deadline=None)
def test_every_measure_written_plainly(here: list[Image], there: list[Image], seed: int, fixed: float) -> None:
    rng = np.random.default_rng(seed)
    right, other_right = (rng.random((len(some), 2)) < 0.6 for some in (here, there))
    better = [[(end, min(1.0, iou + 0.2)) for end, iou in image] for image in here]
    found = report(
        of(part(here, better, right)),
        Settings(threshold=fixed),
        select=of(part(there, there, other_right, "s")),
        resamples=0,
    )

    def accuracy(some: list[Image], iou: float, threshold: float) -> float:
        return percent([iou_at(image, threshold) >= iou for image in some])

    def loc(threshold: float, allowed: np.ndarray) -> float:
        hit = [iou_at(image, threshold) > 0.5 for image in here]
        return percent([a and bool(b) for a, b in zip(hit, allowed, strict=True)])

    plateau = found.measures["gt_known_loc"].selected
    assert plateau is not None
    assert plateau.threshold is not None
    shares = [percent([iou_at(image, t) > 0.5 for image in there]) for t in every_threshold(there)]
    assert percent([iou_at(image, plateau.threshold) > 0.5 for image in there]) == max(shares)
    for name, allowed in (
        ("gt_known_loc", np.ones(len(here), bool)),
        ("top1_loc", right[:, 0]),
        ("top5_loc", right[:, 1]),
    ):
        measure = found.measures[name]
        assert measure.fixed.value == pytest.approx(loc(fixed, allowed))
        assert measure.selected is not None
        assert measure.selected.threshold == plateau.threshold
        assert measure.selected.value == pytest.approx(loc(plateau.threshold, allowed))
        assert measure.best.value == pytest.approx(max(loc(t, allowed) for t in every_threshold(here)))
    for prefix, some in (("max_box_acc", here), ("max_box_acc_v2", better)):
        best = [max(accuracy(some, iou / 100, t) for t in every_threshold(some)) for iou in IOUS]
        assert [found.measures[f"{prefix}_{iou}"].best.value for iou in IOUS] == pytest.approx(best)
        at_fixed = [accuracy(some, iou / 100, fixed) for iou in IOUS]
        assert [found.measures[f"{prefix}_{iou}"].fixed.value for iou in IOUS] == pytest.approx(at_fixed)
    v2 = found.measures["max_box_acc_v2"]
    assert [v2.best.value, v2.fixed.value] == pytest.approx([np.mean(best), np.mean(at_fixed)])


def test_numbers_of_wsolevaluation(real_data: Path) -> None:
    case = reference_case(real_data)
    ids = [truth.id for truth in case.truths]
    for levels in (100, 1000):
        found = evaluate(
            zip(ids, case.maps / 255.0, strict=True), case.truths, Settings("compat", levels=levels), resamples=0
        )
        entries = [entry for entry in case.expected["box"] if entry["threshold_interval"] == 1 / levels]
        assert {entry["contours"] for entry in entries} == {"largest", "all"}
        for entry in entries:
            prefix = "max_box_acc_v2" if entry["contours"] == "all" else "max_box_acc"
            for iou, value in entry["max_box_acc"].items():
                assert found.measures[f"{prefix}_{iou}"].best.value == value
                if entry["correct_per_threshold"] != "omitted":
                    counts = found.curves[f"{prefix}_{iou}"] * len(ids) / 100
                    assert counts == pytest.approx(np.array(entry["correct_per_threshold"][iou]), abs=1e-9)


def some_report(resamples: int = 40, cut: int = 3) -> tuple[Report, list[Image]]:
    rng = np.random.default_rng(1)
    some = [
        [
            (float(end), float(iou))
            for end, iou in zip([*sorted(rng.integers(1, 99, 4) / 100), 1.0], rng.random(5), strict=True)
        ]
        for _ in range(12)
    ]
    right = rng.random((12, 2)) < 0.7
    parts = part(some[:cut], some[:cut], right[:cut]), part(some[cut:], some[cut:], right[cut:], "j")
    return report(of(*parts), Settings(), resamples=resamples), some


def test_intervals_are_those_of_images_drawn_again() -> None:
    found, some = some_report()
    weights = Bootstrap(12, 40, 0).weights
    assert (weights.sum(axis=0) == 12).all()
    assert len(np.unique(weights, axis=1).T) > 30
    fixed, best = [], []
    for drawn in weights.T:
        again = [image for image, times in zip(some, drawn, strict=True) for _ in range(times)]
        fixed.append(percent([iou_at(image, 0.15) > 0.5 for image in again]))
        best.append(max(percent([iou_at(image, t) > 0.5 for image in again]) for t in every_threshold(some)))
    measure = found.measures["gt_known_loc"]
    assert measure.fixed.interval == pytest.approx(np.percentile(fixed, [2.5, 97.5]))
    assert measure.best.interval == pytest.approx(np.percentile(best, [2.5, 97.5]))


@pytest.mark.parametrize(
    ("config", "low", "high"),
    [
        (Settings(levels="exact"), 0.0002, 0.0005),
        (Settings("compat", 0.0, levels=2500), 0.0, float(np.arange(0, 1, 1 / 2500)[1])),
    ],
)
def test_the_best_thresholds_interval_holds_its_value(config: Settings, low: float, high: float) -> None:
    """All images are hit between two neighbours of any even grid of 1000: whatever is drawn, all are."""
    found = report(of(part([[(low, 0.0), (high, 1.0), (1.0, 0.0)]] * 9, [[(1.0, 0.0)]] * 9)), config, resamples=20)
    best = found.measures["gt_known_loc"].best
    assert (best.value, best.threshold, best.interval) == (100, high, (100, 100))


def test_best_thresholds_of_resamples_are_found_among_thousands() -> None:
    """1500 images hit on pieces of (0, .001): 3000 places at which the number changes, of which 1000 are looked at."""
    rng = np.random.default_rng(5)
    ends = np.sort(rng.random((1500, 2)) / 1000, axis=1)
    found = report(
        of(part([[(a, 0.0), (b, 1.0), (1.0, 0.0)] for a, b in ends.tolist()], [[(1.0, 0.0)]] * 1500)),
        Settings(levels="exact"),
        resamples=30,
    )
    hit = (ends[:, :1] < ends.ravel()) & (ends.ravel() <= ends[:, 1:])  # [N, 2 N]
    plain = (Bootstrap(1500, 30, 0).weights.T.astype(float) @ hit).max(axis=1) / 15
    assert found.measures["gt_known_loc"].best.interval == pytest.approx(np.percentile(plain, [2.5, 97.5]), abs=0.2)


def test_the_centre_boxs_side_is_chosen_in_each_resample() -> None:
    """As a best threshold is: by IoU alone, for top-1 as well. On another split it is chosen once."""
    rng = np.random.default_rng(2)
    nothing, right, iou = [[(1.0, 0.0)]] * 20, rng.random((20, 2)) < 0.6, rng.random((20, 100))
    here = replace(part(nothing, nothing, right), centre_iou=iou)
    other = replace(part(nothing, nothing, right, "s"), centre_iou=rng.random((20, 100)))
    chosen, held = (
        report(of(here), Settings(), select=select, resamples=60).baselines["centre_box"]
        for select in (None, of(other))
    )
    weights, hit = Bootstrap(20, 60, 0).weights, iou > 0.5
    loc, top1 = [], []
    for drawn in weights.T.astype(int):
        side = max(range(100), key=lambda side, drawn=drawn: (drawn @ hit[:, side], -side))  # type: ignore[misc]
        loc.append(100 * drawn @ hit[:, side] / 20)
        top1.append(100 * drawn @ (hit[:, side] & right[:, 0]) / 20)
    assert chosen["gt_known_loc"].interval == pytest.approx(np.percentile(loc, [2.5, 97.5]))
    assert chosen["top1_loc"].interval == pytest.approx(np.percentile(top1, [2.5, 97.5]))
    side = round((held["gt_known_loc"].threshold or 0) * 100) - 1
    plain = [100 * drawn @ hit[:, side] / 20 for drawn in weights.T.astype(int)]
    assert held["gt_known_loc"].interval == pytest.approx(np.percentile(plain, [2.5, 97.5]))


def test_intervals_hold_their_promise() -> None:
    """Of 500 images a third hit: the normal approximation's interval, within the bootstrap's own noise."""
    hit = np.arange(500) % 3 == 0
    found = interval(Bootstrap(500, 4000, 3).accuracy(hit))
    assert found == pytest.approx((33.4 - 4.13, 33.4 + 4.13), abs=0.5)


def test_how_images_are_parted_changes_nothing() -> None:
    assert some_report(cut=3)[0].as_dict() == some_report(cut=9)[0].as_dict()


def test_no_resamples_no_intervals() -> None:
    found = some_report(resamples=0)[0]
    assert all(
        at is None or at.interval is None for m in found.measures.values() for at in (m.fixed, m.selected, m.best)
    )
    assert all(at.interval is None for values in found.baselines.values() for at in values.values())


def test_baselines_by_hand() -> None:
    """The whole image has IoU .5: not above it. The middle's IoU is its side: the smallest that is enough is taken."""
    found = report(
        of(part([[(1.0, 0.0)]] * 2, [[(1.0, 0.0)]] * 2, np.array([[True, True], [False, True]]))), Settings()
    )
    whole, centre = found.baselines["whole_image"], found.baselines["centre_box"]
    assert {name: at.value for name, at in whole.items()} == {
        **{"gt_known_loc": 0.0, "top1_loc": 0.0, "top5_loc": 0.0, "max_box_acc_v2": pytest.approx(200 / 3)},
        **{f"{prefix}_{iou}": 100.0 * (iou <= 50) for prefix in ("max_box_acc", "max_box_acc_v2") for iou in IOUS},
    }
    assert (centre["gt_known_loc"].value, centre["gt_known_loc"].threshold) == (100, 0.51)
    assert (centre["top1_loc"].value, centre["top5_loc"].value) == (50, 100)
    assert [centre[f"max_box_acc_{iou}"].threshold for iou in IOUS] == [0.3, 0.5, 0.7]


def test_as_dict_is_json() -> None:
    found = json.loads(json.dumps(some_report()[0].as_dict(), allow_nan=False))
    assert set(found["measures"]["max_box_acc_50"]) == {"fixed", "selected", "best"}
    assert sum(found["iou_histogram"]["images"]) == found["images"] == 12
    assert len(found["curves"]["thresholds"]) == len(found["curves"]["gt_known_loc"]) == 101


def test_rows_say_what_the_measures_count() -> None:
    found, some = some_report()
    table = list(found.rows())
    assert [row["image"] for row in table] == ["i0", "i1", "i2", *(f"j{i}" for i in range(9))]
    for name, measure in found.measures.items():
        if name != "max_box_acc_v2":
            assert 100 * sum(bool(row[f"fixed_{name}"]) for row in table) / 12 == measure.fixed.value
            assert 100 * sum(bool(row[f"best_{name}"]) for row in table) / 12 == measure.best.value
    for row, image in zip(table, some, strict=True):
        assert row["fixed_iou"] == iou_at(image, 0.15)
        assert row["peak_iou"] == max(iou for _, iou in image)
        assert row["peak_threshold"] == next(end for end, iou in image if iou == row["peak_iou"])
        assert [row[f"fixed_{side}"] for side in ("x0", "y0", "x1", "y1")] == [0, 0, 8, 4]  # map pixels are 2 x 2
        assert len(row) == len(table[0])


def test_only_first_classes() -> None:
    found = report(
        of(replace(part([[(1.0, 1.0)]], [[(1.0, 1.0)]], np.array([[True, True]])), ranks=np.ones(1, int))), Settings()
    )
    assert "top1_loc" in found.measures
    assert "top5_loc" not in found.measures
    assert "no top-5 Loc: 1 predicted classes are known" in found.notes[0]
    assert next(found.rows())["right_top5"] is None


def test_without_the_class_of_an_image_there_is_no_top_1() -> None:
    """Then the share of right ones is not known; of the rest a reader would take it for the whole's."""
    right = np.ones((2, 2), bool)
    one, other = (
        part([[(1.0, 1.0)]] * 2, [[(1.0, 1.0)]] * 2, right),
        part([[(1.0, 1.0)]] * 2, [[(1.0, 1.0)]] * 2, right, "j"),
    )
    found = report(of(one, replace(other, ranks=np.array([5, 0]))), Settings())
    assert {"top1_loc", "top5_loc"}.isdisjoint(found.measures)
    assert "top1_loc" not in found.baselines["whole_image"]
    assert found.notes == ("no top-1 and top-5 Loc: label or predicted classes of 1 of 4 images are not known: j1",)
    assert [row["right_top1"] for row in found.rows()] == [True, True, True, None]


def test_ious_of_one_name() -> None:
    twice = Settings(ious=(0.5, 0.3, 0.50000001))
    with pytest.raises(EvalError, match=r"ious \(0.5, 0.3, 0.50000001\): two of them would both be called 50"):
        report(of(part([[(1.0, 1.0)]], [[(1.0, 1.0)]])), twice)
    with pytest.raises(EvalError, match="would both be called 50"):  # before any map is read
        evaluate((pytest.fail("a map was read") for _ in range(1)), [], twice)


def test_notes() -> None:
    odd = replace(part([[(1.0, 1.0)]] * 2, [[(1.0, 1.0)]] * 2), silent=("i0", "i1"), shifted=1)
    silent, shifted = report(of(odd), Settings()).notes
    assert silent == "2 of 2 maps say nothing of the place (constant, or nowhere above 0): i0, i1"
    assert shifted.startswith("1 of 2 maps have another minimum than 0")
    assert len(report(of(odd), Settings(scale="minmax")).notes) == 1


def test_refused() -> None:
    one, other = (part([[(1.0, 1.0)]], [[(1.0, 1.0)]], name=name) for name in "ab")
    with pytest.raises(EvalError, match="a0: a second score map"):
        report(of(one, one), Settings())
    no_boxes = replace(other, largest=runs([]), any=runs([]))
    with pytest.raises(EvalError, match="b0: some images have boxes or masks, and others have not"):
        report(of(one, no_boxes), Settings())
    with pytest.raises(EvalError, match="selects thresholds has no boxes"):
        report(of(one), Settings(), select=of(no_boxes))
    empty = replace(examine([], {}, Settings()), skipped=(("x", "bad"),))
    with pytest.raises(EvalError, match="no image to evaluate; 1 were left out, the first: x: bad"):
        report(of(empty), Settings())


def test_parts_are_read_one_at_a_time() -> None:
    """Never two in memory: each is let go of before the next is asked for."""
    import weakref

    alive: list[weakref.ref[Part]] = []

    def parts() -> Iterator[Part]:
        for name in "abc":
            assert sum(ref() is not None for ref in alive) <= 1
            made = part([[(1.0, 1.0)]], [[(1.0, 1.0)]], name=name)
            alive.append(weakref.ref(made))
            yield made
            del made

    assert report(parts, Settings()).images == 3
