"""Metadata: the text format there and back, a validator that names every bad line, maps that match, predictions."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import UserError
from eval.errors import EvalError
from eval.localization import evaluate
from eval.localization.truth import Truth
from tests.data import layouts
from wsol.metadata import text
from wsol.metadata.command import validate_main
from wsol.metadata.match import check_classes, check_sizes, match
from wsol.metadata.predictions import read_ranked
from wsol.metadata.tables import scan
from wsol.metadata.validate import validate

GOOD = {
    "image_ids.txt": "val/a.JPEG\nval/b, c.JPEG\n",
    "class_labels.txt": "val/a.JPEG,1\nval/b, c.JPEG,0\n",
    "image_sizes.txt": "val/a.JPEG,100,80\nval/b, c.JPEG,50,60\n",
    "localization.txt": "val/a.JPEG,0,0,99,79\nval/b, c.JPEG,5,6,7,6\nval/a.JPEG,10,20,10,30.5\n",
}


def folder(root: Path, **changes: str | None) -> Path:
    """GOOD, with other contents of some files (None: absent)."""
    for name, content in GOOD.items():
        wanted = changes.get(name.removesuffix(".txt"), content)
        if wanted is not None:
            layouts.write(root / name, wanted)
    return root


def test_corners_in_files_are_inside_the_box(tmp_path: Path) -> None:
    first, second = text.read(folder(tmp_path))
    assert (first.id, first.size, first.label) == ("val/a.JPEG", (100, 80), 1)
    assert first.boxes.tolist() == [[0, 0, 100, 80], [10, 20, 11, 31.5]]
    assert (second.id, second.size, second.label) == ("val/b, c.JPEG", (50, 60), 0)
    assert second.boxes.tolist() == [[5, 6, 8, 7]]


def test_what_is_written_is_what_wsolevaluation_reads_and_reads_back(tmp_path: Path) -> None:
    truths = [
        Truth("b.jpg", (50, 60), np.array([[5.0, 6, 8, 7], [0, 0, 50, 60]]), 3),
        Truth("a.jpg", (9, 9), np.ones((1, 4)) * [1, 2, 3, 4.5], 0),
    ]
    text.write(tmp_path / "new", truths)
    assert (tmp_path / "new/localization.txt").read_text() == "b.jpg,5,6,7,6\nb.jpg,0,0,49,59\na.jpg,1,2,2,3.5\n"
    assert (tmp_path / "new/image_ids.txt").read_text() == "b.jpg\na.jpg\n"
    assert (tmp_path / "new/image_sizes.txt").read_text() == "b.jpg,50,60\na.jpg,9,9\n"
    assert (tmp_path / "new/class_labels.txt").read_text() == "b.jpg,3\na.jpg,0\n"
    for one, again in zip(truths, text.read(tmp_path / "new"), strict=True):
        assert (again.id, again.size, again.label) == (one.id, one.size, one.label)
        np.testing.assert_array_equal(again.boxes, one.boxes)
    with pytest.raises(UserError, match="cannot be written"):
        text.write(tmp_path / "x", [Truth("a,b", (9, 9), np.ones((1, 4)))])


def test_labels_may_be_absent(tmp_path: Path) -> None:
    assert [truth.label for truth in text.read(folder(tmp_path, class_labels=None))] == [None, None]


def test_masks_are_read_and_written_and_their_size_is_the_images_where_none_is_said(tmp_path: Path) -> None:
    ids = "a.jpg\nb.jpg\nc.jpg\n"
    lines = "a.jpg,m/a1.png,m/a_ignore.png\na.jpg,m/a2.png,\nb.jpg,m/b.png,\nc.jpg,m/none.png,\n"
    base = folder(tmp_path, image_ids=ids, class_labels=None, image_sizes="", localization=lines)
    layouts.image(base / "m/a1.png", (30, 20), kind="PNG")
    layouts.image(base / "m/b.png", (7, 9), kind="JPEG")  # not what its name says
    first, second, third = text.read(base)
    assert first.masks == (base / "m/a1.png", base / "m/a2.png")
    assert first.ignore == base / "m/a_ignore.png"
    assert (second.masks, second.ignore) == ((base / "m/b.png",), None)
    assert [one.size for one in (first, second, third)] == [(30, 20), (7, 9), (0, 0)]
    assert not len(first.boxes)
    text.write(base, [first, second, third])
    assert (base / "localization.txt").read_text() == lines
    elsewhere = text.read(base, mask_root=tmp_path / "other")[0]
    assert elsewhere.masks[0] == tmp_path / "other/m/a1.png"


BAD = [
    (
        "image_ids",
        "val/a.JPEG\nval/b, c.JPEG\n\nval/a.JPEG\n",
        "image_ids.txt:4: 'val/a.JPEG' is there twice, first in",
    ),
    ("image_ids", "val/a.JPEG\nval/b, c.JPEG\nx\n", "image_ids.txt:3: 'x' has no line in localization.txt"),
    ("image_ids", "", "image_ids.txt: is empty"),
    ("image_ids", None, "image_ids.txt: cannot be read (No such file or directory)"),
    ("localization", "", "localization.txt: is empty"),
    ("localization", None, "localization.txt: cannot be read"),
    ("localization", "val/a.JPEG,1,2,3,4\n", "image_ids.txt:2: 'val/b, c.JPEG' has no line in localization.txt"),
    ("localization", GOOD["localization.txt"] + "val/a.JPEG,1,2,3\n", "localization.txt:4: expected <id>,<x0>,<y0>"),
    ("localization", GOOD["localization.txt"] + "val/a.JPEG,1,2,3,z\n", "localization.txt:4: expected <id>,<x0>,<y0>"),
    ("localization", GOOD["localization.txt"] + "val/a.JPEG,1,2,3,nan\n", "localization.txt:4: expected <id>,<x0>"),
    (
        "localization",
        GOOD["localization.txt"] + "val/a.JPEG,5,2,4,9\n",
        "localization.txt:4: box x0 5, y0 2, x1 4, y1 9",
    ),
    ("localization", GOOD["localization.txt"] + "val/a.JPEG,0,0,101,9\n", "localization.txt:4: box x0 0, y0 0, x1 101"),
    ("localization", GOOD["localization.txt"] + "val/a.JPEG,-1,0,9,9\n", "localization.txt:4: box x0 -1, y0 0, x1 9"),
    ("image_sizes", "val/a.JPEG,100,80\n", "image_ids.txt:2: 'val/b, c.JPEG' has no line in image_sizes.txt"),
    (
        "image_sizes",
        GOOD["image_sizes.txt"] + "x,0,5\n",
        "image_sizes.txt:3: expected width and height as whole numbers",
    ),
    ("image_sizes", GOOD["image_sizes.txt"] + "val/a.JPEG,1,1\n", "image_sizes.txt:3: 'val/a.JPEG' is there twice"),
    ("image_sizes", "", "image_sizes.txt: is empty"),
    ("class_labels", "val/a.JPEG,1\n", "image_ids.txt:2: 'val/b, c.JPEG' has no line in class_labels.txt"),
    (
        "class_labels",
        "val/a.JPEG,1\nval/b, c.JPEG,-1\n",
        "class_labels.txt:2: expected a class as a whole number from 0",
    ),
    ("class_labels", "val/a.JPEG,1\nval/b, c.JPEG,1.0\n", "class_labels.txt:2: expected a class as a whole number"),
]


@pytest.mark.parametrize(("file", "content", "message"), BAD)
def test_a_bad_line_is_named_by_the_validator_and_refused_by_the_reader(
    file: str, content: str | None, message: str, tmp_path: Path
) -> None:
    base = folder(tmp_path, **{file: content})
    wrong = [str(problem) for problem in validate(base) if not problem.notice]
    assert any(line.startswith(f"{base}/{message}") for line in wrong), wrong
    with pytest.raises(UserError, match=r"\.txt"):
        text.read(base)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("localization", GOOD["localization.txt"] + "val/a.JPEG,0,0,100,9\n", "localization.txt:4: note: box"),
        ("localization", GOOD["localization.txt"] + "x,0,0,1,9\n", "localization.txt:4: note: 'x' is not in image_ids"),
        ("image_sizes", GOOD["image_sizes.txt"] + "x,10,10\n", "image_sizes.txt:3: note: 'x' is not in image_ids.txt"),
        (
            "class_labels",
            "val/a.JPEG,3\nval/b, c.JPEG,0\n",
            "class_labels.txt: note: classes 0 to 3 have gaps: no image is of 2",
        ),
    ],
)
def test_what_is_odd_is_noted_and_read_all_the_same(file: str, content: str, message: str, tmp_path: Path) -> None:
    base = folder(tmp_path, **{file: content})
    (problem,) = validate(base)
    assert str(problem).startswith(f"{base}/{message}")
    assert problem.notice
    assert [truth.id for truth in text.read(base)] == ["val/a.JPEG", "val/b, c.JPEG"]


def test_good_metadata_has_no_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate(folder(tmp_path)) == []
    assert validate_main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}: 0 problems, 0 notes\n"


def test_the_command_names_every_bad_line_and_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = "".join(f"val/a.JPEG,{i + 1},0,{i},5\n" for i in range(15)) + "val/b, c.JPEG,0,0,1,1\n"
    assert validate_main([str(folder(tmp_path, localization=lines))]) == 2
    out = capsys.readouterr().out
    assert [f"localization.txt:{i}: " in out for i in range(1, 17)] == [True] * 15 + [False]
    assert validate_main([str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_bad_images_can_be_left_out_and_listed(tmp_path: Path) -> None:
    lines = "val/a.JPEG,9,0,5,5\nval/b, c.JPEG,0,0,1,1\nval/a.JPEG,1,1,2,2\n"
    skipped: list[tuple[str, str]] = []
    truths = text.read(folder(tmp_path, localization=lines), skipped=skipped)
    assert [truth.id for truth in truths] == ["val/b, c.JPEG"]
    assert [id for id, _ in skipped] == ["val/a.JPEG"]
    assert "localization.txt:1: box x0 9" in skipped[0][1]
    with pytest.raises(UserError, match="is empty"):
        text.read(folder(tmp_path, localization=""), skipped=[])


def boxes(count: int, convert: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> dict[str, str]:
    """Boxes x, y, width, height anywhere in images of 100 x 80, as lines."""
    rng = np.random.default_rng(0)
    extent = np.stack([rng.integers(10, 60, count), rng.integers(10, 50, count)], axis=1)
    start = (rng.random((count, 2)) * ([100, 80] - extent)).astype(int)
    rows = convert(start, extent)
    return {
        "image_ids": "".join(f"{i}\n" for i in range(count)),
        "class_labels": "".join(f"{i},0\n" for i in range(count)),
        "image_sizes": "".join(f"{i},100,80\n" for i in range(count)),
        "localization": "".join(f"{i},{','.join(map(str, row))}\n" for i, row in enumerate(rows.tolist())),
    }


def test_x_y_width_height_where_corners_are_meant_is_noticed(tmp_path: Path) -> None:
    as_sizes = boxes(50, lambda start, extent: np.concatenate([start, extent], axis=1))
    base = folder(tmp_path / "sizes", **as_sizes)
    assert "seems to hold x, y, width, height" in str(validate(base)[0])
    assert "seems to hold x, y, width, height" in str(validate(base / "localization.txt")[0])  # without sizes, too
    with pytest.raises(UserError, match="seems to hold"):
        text.read(base, skipped=[])
    as_corners = boxes(50, lambda start, extent: np.concatenate([start, start + extent - 1], axis=1))
    assert validate(folder(tmp_path / "corners", **as_corners)) == []


def test_a_few_reversed_boxes_are_not_taken_for_widths(tmp_path: Path) -> None:
    right = boxes(50, lambda start, extent: np.concatenate([start, start + extent - 1], axis=1))
    lines = right["localization"].splitlines()
    lines[7] = "7,50,1,40,9"
    found = validate(folder(tmp_path, **{**right, "localization": "\n".join(lines)}))
    assert [problem.line for problem in found] == [8]


def test_widths_that_happen_to_be_in_order_are_suspected(tmp_path: Path) -> None:
    near = boxes(50, lambda start, extent: np.concatenate([start // 10, extent], axis=1))
    (problem,) = validate(folder(tmp_path, **near))
    assert problem.notice
    assert "may hold x, y, width, height" in problem.what


def test_images_and_masks_are_held_against_the_lines(tmp_path: Path) -> None:
    base = folder(tmp_path)
    layouts.image(tmp_path / "images/val/a.JPEG", (100, 81))
    found = [str(problem) for problem in validate(base, tmp_path / "images")]
    assert found[0].startswith(
        f"{base}/image_ids.txt:2: {tmp_path}/images/val/b, c.JPEG: the image file does not exist"
    )
    assert found[1].startswith(f"{base}/image_sizes.txt:1: 'val/a.JPEG' is 100 x 80, but the file")
    assert found[1].endswith("is 100 x 81")


def test_masks_must_be_there_readable_and_not_empty(tmp_path: Path) -> None:
    lines = "a,m/no.png,\nb,m/broken.png,\nc,m/black.png,\nd,m/good.png,m/black.png\n"
    base = folder(tmp_path, image_ids="a\nb\nc\nd\n", class_labels=None, image_sizes="", localization=lines)
    layouts.write(base / "m/broken.png", "not an image")
    Image.new("L", (4, 4)).save(base / "m/black.png")
    Image.new("L", (4, 4), 255).save(base / "m/good.png")
    found = {problem.line: problem.what for problem in validate(base)}
    assert sorted(found) == [1, 2, 3]  # an ignore mask may be empty
    assert "cannot be read: No such file" in found[1]
    assert "not an image" in found[2]
    assert "no object in it" in found[3]


def test_the_validator_reads_masks_as_the_evaluator_does(tmp_path: Path) -> None:
    """Numbers of instances in 16 bits, dark colours: objects, though black in 8 bits of grey. GIF: as OpenCV says."""
    kinds = {
        "a.png": Image.fromarray(np.full((4, 4), 7, np.uint16)),
        "b.png": Image.new("RGB", (4, 4), (0, 0, 1)),
        "c.png": Image.new("RGBA", (4, 4), (0, 0, 0, 255)),
        "d.gif": Image.new("L", (4, 4), 255),
        "e.png": Image.fromarray(np.ones((4, 4), np.uint8)),
    }
    kinds["e.png"].putpalette([0, 0, 0, 0, 0, 2])  # its number 1 is a dark colour
    lines = "".join(f"{name[0]},{name},\n" for name in kinds)
    base = folder(tmp_path, image_ids="a\nb\nc\nd\ne\n", class_labels=None, image_sizes="", localization=lines)
    for name, image in kinds.items():
        image.save(base / name)
    found = {problem.line: problem.what for problem in validate(base)}
    for line, truth in enumerate(text.read(base), start=1):
        maps = [(truth.id, np.eye(4))]
        if line not in found:
            assert evaluate(maps, [truth], resamples=0).pixels is not None
            continue
        with pytest.raises(EvalError, match="no pixel of an object" if truth.id == "c" else re.escape(found[line])):
            evaluate(maps, [truth], resamples=0)
    assert found[3].endswith("c.png has no object in it, every pixel is 0")
    assert {1, 2, 5}.isdisjoint(found)


def test_a_first_mask_that_cannot_be_read_is_named_though_the_size_was_to_be_its(tmp_path: Path) -> None:
    lines = "a,m/no.png,\n"
    base = folder(tmp_path, image_ids="a\n", class_labels=None, image_sizes="", localization=lines)
    truths = text.read(base)
    assert truths[0].size == (0, 0)
    with pytest.raises(EvalError, match=rf"a: mask {base}/m/no\.png cannot be read: No such file"):
        evaluate([("a", np.eye(4))], truths)


def test_a_class_beyond_the_classes_is_named(tmp_path: Path) -> None:
    found = validate(folder(tmp_path), classes=1)
    assert [str(problem) for problem in found] == [
        f"{tmp_path}/class_labels.txt:1: class 1 of 'val/a.JPEG' is beyond the 1 classes, 0 to 0"
    ]
    truths = text.read(tmp_path)
    check_classes(truths, 2)
    with pytest.raises(EvalError, match=r"1 images have a class beyond 0 to 0.*'val/a\.JPEG': 1"):
        check_classes(truths, 1)


def test_fifty_thousand_lines_take_linear_time(tmp_path: Path) -> None:
    # Not a time limit: each line costs a bounded number of look-ups, also when all are wrong.
    count = 20_000
    many = boxes(count, lambda start, extent: np.concatenate([start + extent, start], axis=1))
    base = folder(tmp_path, **many)
    assert sum(problem.line > 0 for problem in scan(base).problems) == count


# Maps and metadata.


def truths_of(*ids: str) -> list[Truth]:
    return [Truth(id, (4, 4), np.array([[0.0, 0, 1, 1]])) for id in ids]


def test_ids_that_both_have_come_in_the_sources_order() -> None:
    assert match(["b", "a"], truths_of("a", "b")) == ("b", "a")
    assert match(["b", "a"], {truth.id: truth for truth in truths_of("a", "b")}) == ("b", "a")


def test_ids_that_one_side_lacks_are_named_or_listed() -> None:
    with pytest.raises(EvalError, match=r"2 images have no map: 'c', 'd'\n1 maps have no metadata: 'x'"):
        match(["a", "b", "x"], truths_of("a", "b", "c", "d"))
    skipped: list[tuple[str, str]] = []
    assert match(["a", "b", "x"], truths_of("a", "b", "c", "d"), skipped) == ("a", "b")
    assert skipped == [
        ("x", "has a map, but no metadata"),
        ("c", "has metadata, but no map"),
        ("d", "has metadata, but no map"),
    ]
    with pytest.raises(EvalError, match=r"12 images have no map: '0', .*'9', \.\.\.\n1 maps"):
        match(["x"], truths_of(*map(str, range(12))), [])


@pytest.mark.parametrize(
    ("maps", "metadata", "reason"),
    [
        (["v/a", "v/b"], ["v/a.jpg", "v/b.jpg"], r"ids of the maps lack '\.jpg' at their end"),
        (["a.x", "b.y"], ["a.x.jpg", "b.y.jpg"], r"ids of the maps lack '\.jpg' at their end"),
        (["a.jpg", "b.jpg"], ["a", "b"], r"ids of the metadata lack '\.jpg' at their end"),
        (["a.jpg", "b.jpg"], ["val/a.jpg", "val/b.jpg"], "ids of the maps lack 'val/' before"),
        (["maps/val/a", "maps/val/b"], ["val/a", "val/b"], "ids of the metadata lack 'maps/' before"),
        (["a", "b"], ["val/a.jpg", "val/b.jpg"], r"lack 'val/' before and '\.jpg' at their end"),
    ],
)
def test_how_ids_would_match_is_said(maps: list[str], metadata: list[str], reason: str) -> None:
    with pytest.raises(EvalError, match=f"2 would match: .*{reason}"):
        match(maps, truths_of(*metadata))


def test_maps_of_resized_images_are_noticed() -> None:
    assert check_sizes({"a": (4, 4)}, truths_of("a", "b")) == ("a", "b")
    with pytest.raises(EvalError, match=r"1 images were of another size .* 'a' was 8 x 8 .*, the metadata says 4 x 4"):
        check_sizes({"a": (8, 8)}, truths_of("a", "b"))
    skipped: list[tuple[str, str]] = []
    assert check_sizes({"a": (8, 8)}, truths_of("a", "b"), skipped) == ("b",)
    assert skipped == [("a", "was 8 x 8 when its map was made, the metadata says 4 x 4")]
    with pytest.raises(EvalError, match="1 images"):
        check_sizes({"a": (8, 8)}, truths_of("a"), [])
    assert check_sizes({"a": (8, 8)}, [Truth("a", (0, 0))]) == ("a",)  # not known


# Predictions.


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.csv", 'id,first,second\nval/a.jpg,3,0\n"b, c",1,2\n\n'),
        ("p.csv", 'val/a.jpg, 3,0\n"b, c",1,2'),
        ("p.json", '{"val/a.jpg": [3, 0], "b, c": [1, 2]}'),
    ],
)
def test_predictions_are_read_best_first(name: str, content: str, tmp_path: Path) -> None:
    assert read_ranked(layouts.write(tmp_path / name, content)) == {"val/a.jpg": (3, 0), "b, c": (1, 2)}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("p.csv", "a,1\nb,x\n", r"p\.csv:2: expected <id>,<class>"),
        ("p.csv", "a,1\na,2\n", r"p\.csv:2: 'a' is there twice"),
        ("p.csv", "a,1,1\n", r"p\.csv:1: expected different classes from 0"),
        ("p.csv", "a,-1\n", r"p\.csv:1: expected different classes from 0"),
        ("p.csv", "a\n", r"p\.csv:1: expected different classes from 0"),
        ("p.csv", "a,1,2\nb,1\n", r"p\.csv:2: expected 2 classes"),
        ("p.csv", "", "is empty"),
        ("p.json", "{}", "is empty"),
        ("p.json", "{", "malformed JSON"),
        ("p.json", "[[1]]", "expected .*best first"),
        ("p.json", '{"a": [1], "a": [2]}', "'a' is there twice"),
        ("p.json", '{"a": [1.5]}', "expected a list of whole numbers for 'a'"),
        ("p.npy", "", r"p\.npy: expected class predictions as \.csv"),
    ],
)
def test_bad_predictions_are_named(name: str, content: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=reason):
        read_ranked(layouts.write(tmp_path / name, content))
