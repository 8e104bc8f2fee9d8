"""What is kept of maps: saved and read again, and what cannot be evaluated."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from eval.errors import EvalError
from eval.localization import Part, Runs, ScoreMap, Settings, Truth, evaluate, examine, report

BOX = np.array([[1.0, 1, 3, 3]])
GOOD = np.zeros((4, 4), np.float32)
GOOD[1:3, 1:3] = 1


def truth(name: str, **changes: Any) -> Truth:
    return replace(Truth(name, (4, 4), BOX, 0), **changes)


def same(one: Any, two: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == two.dtype and one.shape == two.shape and bool((one == two).all())
    if isinstance(one, Part | Runs):
        return all(same(getattr(one, field.name), getattr(two, field.name)) for field in fields(one))
    return bool(one == two)


def examined(tmp_path: Path) -> Part:
    mask = tmp_path / "mask.png"
    cv2.imwrite(str(mask), np.tri(4, dtype=np.uint8))
    truths = {name: truth(name, masks=(mask,)) for name in ("a", "ü/日本.jpg", "bad")}
    maps = [
        ScoreMap("a", GOOD, (0.0, 0.0, 3.5, 4.0), (0, 1)),
        ScoreMap("ü/日本.jpg", np.full((3, 5), -1.0), None, (2, 0, 1)),
        ScoreMap("bad", GOOD * np.nan, None, (0,)),
    ]
    return examine(maps, truths, Settings(), skip_bad=True)


def test_kept(tmp_path: Path) -> None:
    part = examined(tmp_path)
    assert part.ids == ("a", "ü/日本.jpg")
    assert part.windows.tolist() == [[0, 0, 3.5, 4], [0, 0, 4, 4]]
    assert (part.shapes.tolist(), part.sizes.tolist()) == ([[4, 4], [3, 5]], [[4, 4], [4, 4]])
    assert (part.right.tolist(), part.ranks.tolist()) == ([[True, True], [False, True]], [2, 3])
    assert part.whole_iou.tolist() == [0.25, 0.25]
    assert part.centre_iou[0, [49, 99]].tolist() == [1, 0.25]  # a side of 1 / 2 is the box itself
    assert len(part.largest) == len(part.any) == len(part.inside) == 2
    assert (part.shifted, part.silent) == (1, ("ü/日本.jpg",))
    assert part.skipped[0][0] == "bad"
    assert part.skipped[0][1].startswith("the score map holds NaN")  # not "bad: ..." again: the id stands before it


def test_saved_and_read_again(tmp_path: Path) -> None:
    part = examined(tmp_path)
    part.save(tmp_path / "new" / "part.npz")
    assert same(Part.load(tmp_path / "new" / "part.npz"), part)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["part.npz"]
    empty = examine([], {}, Settings())
    empty.save(tmp_path / "part.npz")
    assert same(Part.load(tmp_path / "part.npz"), empty)


def test_a_part_that_cannot_be_written_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part, path = examined(tmp_path), tmp_path / "part.npz"
    part.save(path)
    before = path.read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space left"):
        part.save(path)
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["mask.png", "part.npz"]


def test_damaged_parts(tmp_path: Path) -> None:
    path = tmp_path / "part.npz"
    examined(tmp_path).save(path)
    whole = path.read_bytes()
    other = bytearray(whole)
    other[len(whole) // 2] ^= 255
    for content in (b"", whole[:100], whole[:-30], bytes(other), b"x" * 500):
        path.write_bytes(content)
        with pytest.raises(EvalError, match=r"part\.npz: not a part of an evaluation, or damaged"):
            Part.load(path)
    np.savez(path, maps=GOOD)
    with pytest.raises(EvalError, match=r"part\.npz: not a part of an evaluation"):
        Part.load(path)
    with pytest.raises(EvalError, match=r"none\.npz"):
        Part.load(tmp_path / "none.npz")


@pytest.mark.parametrize(
    ("score_map", "changes", "message"),
    [
        (ScoreMap("c", GOOD), {}, "c: a score map, but no such image in the metadata of 2 images"),
        (ScoreMap("a", GOOD), {}, "a: a second score map of the same image"),
        (ScoreMap("b", GOOD), {"boxes": np.empty((0, 4))}, "b: no boxes in the metadata"),
        (ScoreMap("b", GOOD), {"boxes": np.array([[1.0, 1, 1, 3]])}, "b: expected boxes with an area"),
        (
            ScoreMap("b", GOOD),
            {"boxes": np.array([[1.0, np.nan, 2, 3]])},
            r"b: boxes \[\[1.0, nan, 2.0, 3.0\]\], expected",
        ),
        (
            ScoreMap("b", GOOD),
            {"boxes": np.array([[1.0, 1, 2]])},
            r"b: boxes \[\[1.0, 1.0, 2.0\]\], expected x0, y0, x1, y1",
        ),
        (ScoreMap("b", GOOD), {"size": (0, 4)}, r"b: an image of size \(0, 4\)"),
        (ScoreMap("b", GOOD, (0.0, 0.0, 0.0, 4.0)), {}, r"b: the map's window .* has no area"),
        (ScoreMap("b", GOOD, (0.0, 0.0, np.inf, 4.0)), {}, r"b: the map's window .* has no area"),
        (ScoreMap("b", GOOD[None]), {}, r"b: a score map of shape \(1, 4, 4\), expected height x width"),
        (ScoreMap("b", GOOD[:0]), {}, r"b: a score map of shape \(0, 4\)"),
        (ScoreMap("b", GOOD.tolist()), {}, "b: a score map of type list"),  # type: ignore[arg-type]
        (ScoreMap("b", GOOD.astype(np.int32)), {}, "b: a score map of type int32"),
        (
            ScoreMap("b", np.full((4, 4), np.inf)),
            {},
            r"b: the score map holds NaN or infinity at 16 pixels, the first at y, x \[0, 0\]",
        ),
        (ScoreMap("b", GOOD, (0.0, 0.0, 4.0)), {}, r"b: the map's window \(0.0, 0.0, 4.0\) has no area"),  # type: ignore[arg-type]
        (ScoreMap("b", GOOD, None, (0,)), {"label": -1}, r"b: label -1, predicted \[0\]; expected classes from 0"),
        (ScoreMap("b", GOOD, None, (-3,)), {}, r"b: label 0, predicted \[-3\]"),
    ],
)
def test_refused_or_skipped(score_map: ScoreMap, changes: dict[str, Any], message: str) -> None:
    truths = {"a": truth("a"), "b": truth("b", **changes)}
    maps = [ScoreMap("a", GOOD), score_map]
    with pytest.raises(EvalError, match=message):
        examine(maps, truths, Settings())
    part = examine(maps, truths, Settings(), skip_bad=True)
    assert part.ids == ("a",)
    assert [name for name, _ in part.skipped] == [score_map.id]
    found = report(lambda: iter([part]), Settings())
    assert (found.images, found.as_dict()["skipped"][0]["id"]) == (1, score_map.id)


def test_archives_that_claim_odd_things(tmp_path: Path) -> None:
    """Encrypted is a RuntimeError in Python, an unknown compression a NotImplementedError, deflate a zlib.error."""
    path = tmp_path / "part.npz"
    examined(tmp_path).save(path)
    whole = path.read_bytes()
    for place, value in ((8, 1), (10, 99), (10, 8)):
        damaged = bytearray(whole)
        for start in range(len(whole)):
            if whole.startswith(b"PK\x01\x02", start):
                damaged[start + place] = value
        path.write_bytes(damaged)
        with pytest.raises(EvalError, match=r"part\.npz: not a part of an evaluation, or damaged"):
            Part.load(path)


def test_classes_of_some_images_only() -> None:
    """An error at the image; with skip_bad no image is lost for it, wherever the unknown one stands."""
    truths = {str(i): truth(str(i)) for i in range(300)}
    for unknown in ("0", "3", "299"):
        maps = [ScoreMap(name, GOOD, None, None if name == unknown else (0, 1, 2, 3, 4)) for name in truths]
        with pytest.raises(EvalError, match=f"label and predicted classes are known of .*, but not of {unknown}$"):
            evaluate(maps, truths, resamples=0)
        found = evaluate(maps, truths, resamples=0, skip_bad=True)
        assert (found.images, found.skipped) == (300, ())
        assert f"classes of 1 of 300 images are not known: {unknown}" in found.notes[0]
        assert "gt_known_loc" in found.measures
        assert "top1_loc" not in found.measures


@pytest.mark.parametrize(
    ("values", "config", "window", "silent"),
    [
        (-np.arange(1.0, 17).reshape(4, 4), Settings(), None, True),
        (-np.arange(1.0, 17).reshape(4, 4), Settings(scale="minmax"), None, False),
        (np.arange(16.0).reshape(4, 4) / 15 / 256, Settings(), None, False),
        (np.arange(16.0).reshape(4, 4) / 15 / 256, Settings("compat"), None, True),  # 0 in all of its 8 bits
        (np.arange(16.0).reshape(4, 4) / 15 / 255, Settings("compat"), None, False),
        (np.full((4, 4), 0.5), Settings("compat"), None, True),
        (np.diag([1.0, 0, 0, 0]), Settings(), (-1.0, -1.0, 4.0, 4.0), True),  # its one pixel is padding
    ],
)
def test_maps_that_say_nothing_of_the_place(values: np.ndarray, config: Settings, window: Any, silent: bool) -> None:
    """They predict the whole map, or compat's pixel, at every threshold."""
    part = examine([ScoreMap("a", values, window)], {"a": truth("a")}, config)
    assert part.silent == (("a",) if silent else ())
    assert len(np.unique(part.largest.boxes, axis=0)) == 1 or not silent
    notes = report(lambda: iter([part]), config).notes
    assert any("1 of 1 maps say nothing of the place" in note for note in notes) is silent


def test_compat_takes_no_corner_below_0() -> None:
    """wsolevaluation, util.check_box_convention, of inclusive corners."""
    for box in ([-1.0, 0, 3, 3], [0.0, 0, 0.5, 3]):
        wrong = truth("a", boxes=np.array([box]))
        with pytest.raises(EvalError, match=r"a: boxes .* compat takes no corner below 0"):
            examine([ScoreMap("a", GOOD)], {"a": wrong}, Settings("compat"))
        assert examine([ScoreMap("a", GOOD)], {"a": wrong}, Settings()).ids == ("a",)


def test_nothing_to_compare_with() -> None:
    with pytest.raises(EvalError, match="a: no boxes and no masks in the metadata"):
        examine([ScoreMap("a", GOOD)], {"a": Truth("a", (4, 4))}, Settings())


def test_labels_without_predictions_and_predictions_without_labels_are_not_known() -> None:
    for ranked, label in ((None, 0), ((), 0), ((1, 0), None)):
        part = examine([ScoreMap("a", GOOD, None, ranked)], {"a": truth("a", label=label)}, Settings())
        assert (part.ranks.tolist(), part.right.tolist()) == ([0], [[False, False]])


def test_a_map_is_not_kept() -> None:
    """Streaming: each map is let go of before the next but one is asked for."""
    import weakref

    alive: list[weakref.ref[np.ndarray]] = []

    def maps() -> Iterator[ScoreMap]:
        for name in "abcde":
            values = GOOD.copy()
            alive.append(weakref.ref(values))
            assert sum(ref() is not None for ref in alive) <= 2
            yield ScoreMap(name, values)
            del values

    assert len(examine(maps(), {name: truth(name) for name in "abcde"}, Settings()).ids) == 5


def test_evaluate_by_hand() -> None:
    """Image a is found exactly at every threshold, b never; classes are right in b alone."""
    maps = [ScoreMap("a", GOOD, None, (1, 2, 3, 4, 5)), ScoreMap("b", np.eye(4), None, (0, 1, 2, 3, 4))]
    truths = [truth("a"), truth("b", boxes=np.array([[3.0, 0, 4, 1]]))]
    found = evaluate(maps, truths)
    assert {name: measure.fixed.value for name, measure in found.measures.items()} == {
        **{"gt_known_loc": 50.0, "top1_loc": 0.0, "top5_loc": 0.0, "max_box_acc_v2": 50.0},
        **{f"{prefix}_{iou}": 50.0 for prefix in ("max_box_acc", "max_box_acc_v2") for iou in (30, 50, 70)},
    }
    assert all(measure.selected is None for measure in found.measures.values())
    assert found.images == 2


def test_evaluate_selects_on_another_split() -> None:
    """There a threshold above .5 alone finds the core; here one up to .5 alone finds the halo."""
    values = np.maximum(GOOD, 0.5)
    here = evaluate(
        [("a", values)], [truth("a", boxes=np.array([[0.0, 0, 4, 4]]))], select=([("s", values)], {"s": truth("s")})
    )
    measure = here.measures["gt_known_loc"]
    assert measure.selected is not None
    assert (measure.fixed.value, measure.selected.value, measure.best.value) == (100, 0, 100)
    assert (measure.selected.threshold, measure.best.threshold) == (1.0, 0.5)


def test_evaluate_wants_each_image_once() -> None:
    truths = [truth(name) for name in "abc"]
    with pytest.raises(EvalError, match="2 of 3 images have no score map: b, c"):
        evaluate([("a", GOOD)], truths)
    with pytest.raises(EvalError, match="a: a second score map"):
        evaluate([("a", GOOD)] * 2, truths)
    with pytest.raises(EvalError, match="a: annotated twice"):
        evaluate([("a", GOOD)], [truths[0], truths[0]])
    with pytest.raises(EvalError, match=r"1 annotations are given under other ids than theirs, the first \('b', 'a'\)"):
        evaluate([("b", GOOD)], {"b": truths[0]})
    with pytest.raises(EvalError, match="no image to evaluate"):
        evaluate([], [])
    found = evaluate([("a", GOOD), ("a", GOOD), ("x", GOOD), ("b", GOOD)], truths, skip_bad=True)
    assert (found.images, sorted(name for name, _ in found.skipped)) == (2, ["a", "c", "x"])
    assert sorted(row["image"] for row in found.rows()) == ["a", "b"]  # type: ignore[type-var]


def test_more_images_than_a_part() -> None:
    truths = {str(i): truth(str(i)) for i in range(600)}
    found = evaluate(((name, GOOD) for name in truths), truths, resamples=0)
    assert (found.images, found.measures["gt_known_loc"].fixed.value) == (600, 100)


def test_annotations_are_looked_through_once() -> None:
    class Counted(dict[str, Truth]):
        times = 0

        def values(self) -> Any:
            self.times += 1
            return super().values()

    truths = Counted({str(i): truth(str(i)) for i in range(1000)})
    evaluate(((name, GOOD) for name in truths), truths, resamples=0)
    assert truths.times == 2  # for boxes, for masks


def test_heavy_libraries_are_imported_when_needed() -> None:
    code = (
        "import sys; from eval import localization; print(localization.evaluate.__name__,"
        " [name for name in ('numba', 'cv2', 'matplotlib', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "evaluate []"
