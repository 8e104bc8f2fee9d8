"""Detections from JSON and text files: read as they were written, and refused by file and entry or line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.detection.detections import Detections
from eval.detection.reading import read_detections
from eval.errors import EvalError

CLASSES = ("cat", "board", "card_board")
ENTRY = {"image_id": "000001", "category_id": 2, "bbox": [1.5, 2, 3, 4], "score": 0.25}


def written(folder: Path, content: Any) -> Path:
    path = folder / "found.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def same(one: Detections, two: Detections) -> bool:
    arrays = zip(one.__dict__.values(), two.__dict__.values(), strict=True)
    return all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in arrays)


def test_results_list(tmp_path: Path) -> None:
    entries = [ENTRY, {**ENTRY, "image_id": "000002", "category_id": 0, "score": 1, "segmentation": [[1, 2]]}]
    found = read_detections(written(tmp_path, entries), CLASSES)
    assert same(found, Detections.from_coco(entries))
    assert found.boxes.tolist() == [[1.5, 2.0, 4.5, 6.0]] * 2
    assert same(found, read_detections(written(tmp_path, {"info": {}, "annotations": entries}), CLASSES))
    assert len(read_detections(written(tmp_path, []), CLASSES).scores) == 0


def test_category_ids_and_numbers_of_images(tmp_path: Path) -> None:
    entries = [{**ENTRY, "image_id": 42, "category_id": 18}, {**ENTRY, "image_id": 7, "category_id": 1}]
    categories = {1: 0, 17: 1, 18: 2}
    found = read_detections(written(tmp_path, entries), CLASSES, categories)
    assert (found.image_ids, found.labels.tolist()) == (["42", "7"], [2, 0])
    assert same(found, Detections.from_coco(entries, categories))
    for known, shown in ((categories, "1, 17, 18"), (None, "0, 1, 2")):
        with pytest.raises(EvalError, match=rf"found\.json: .*category_id 5 is not known; there are {shown}"):
            read_detections(written(tmp_path, [{**ENTRY, "category_id": 5}]), CLASSES, known)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (json.dumps([ENTRY])[:-9], "truncated"),
        ("[{]", "malformed"),
        (json.dumps([ENTRY, {**ENTRY, "score": float("nan")}]), r"entry \$\[1\] has a number that is not finite"),
        (json.dumps({"annotations": [{**ENTRY, "score": float("nan")}]}), r"entry \$\[0\] has a number"),
        ("[" * 9**6, "Expected `object`"),
        ('[{"extra": ' + "[" * 9**6, "recursion"),
        (json.dumps([ENTRY, {**ENTRY, "score": "high"}]), r"\$\[1\].score"),
        (json.dumps([ENTRY, {**ENTRY, "bbox": [1, 2, 3]}]), r"\$\[1\].bbox"),
        (json.dumps([{"image_id": 3}]), "missing required field"),
        (json.dumps([3]), "Expected `object`"),
        (json.dumps({"images": []}), "annotations"),
        ("", "truncated"),
        (json.dumps([{**ENTRY, "score": 1.5}]), "image '000001': a score outside 0 to 1"),
        (json.dumps([{**ENTRY, "bbox": [1, 2, -3, 4]}]), "image '000001': a box whose end precedes its start"),
        (json.dumps([{**ENTRY, "bbox": [1, 2, 3, float("inf")]}]), r"entry \$\[0\] has a number that is not finite"),
        (json.dumps([ENTRY]).replace("1.5", "1e999"), "not finite"),
    ],
)
def test_json_that_is_refused(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(EvalError, match=rf"found\.json: .*({said})"):
        read_detections(written(tmp_path, content), CLASSES)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"nothing\.json: cannot be read"):
        read_detections(tmp_path / "nothing.json", CLASSES)
    with pytest.raises(EvalError, match=r"nothing_cat\.txt: cannot be read"):
        read_detections(tmp_path / "nothing_cat.txt", ("cat",))
    with pytest.raises(EvalError, match="no text files; expected one for each class"):
        read_detections(tmp_path, CLASSES)


def test_text_files(tmp_path: Path) -> None:
    (tmp_path / "comp4_det_test_cat.txt").write_text("000001 0.5 2 3 4 6\n\n2008_000002 1e-3 1.0 1.0 10.0 20.0")
    (tmp_path / "comp4_det_test_card_board.txt").write_text("")
    with pytest.warns(UserWarning, match="no file for board: no detections of them"):
        found = read_detections(tmp_path, CLASSES)
    assert (list(found.image_ids), found.labels.tolist()) == (["000001", "2008_000002"], [0, 0])
    assert found.scores.tolist() == [0.5, 0.001]
    assert found.boxes.tolist() == [[1, 2, 4, 6], [0, 0, 10, 20]]
    (tmp_path / "board.txt").write_text("000001 0.5 2 3 4 6\n")
    assert sorted(read_detections(tmp_path, CLASSES).labels.tolist()) == [0, 0, 1]
    (tmp_path / "comp3_det_test_cat.txt").write_text("")
    with pytest.raises(EvalError, match=r"two files for class 'cat': comp3_det_test_cat\.txt and comp4_det_test_cat"):
        read_detections(tmp_path, CLASSES)


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    json_file, text_file = tmp_path / "found.json", tmp_path / "cat.txt"
    json_file.write_text(json.dumps([ENTRY]), encoding="utf-8-sig")
    text_file.write_text("000001 0.5 2 3 4 6\n", encoding="utf-8-sig")
    assert [read_detections(path, ("cat",), {2: 0}).image_ids for path in (json_file, text_file)] == [["000001"]] * 2


@pytest.mark.parametrize("line", ["000001 0.5 2 3 4", "000001 0.5 2 3 4 6 7", "000001 high 2 3 4 6", "0.5"])
def test_a_line_that_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "det_cat.txt"
    path.write_text(f"000001 0.5 2 3 4 6\n{line}\n")
    with pytest.raises(EvalError, match=r"det_cat\.txt:2: expected image id, score and four corners"):
        read_detections(path, ("cat",))


def test_text_that_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "det_cat.txt"
    path.write_text("000001 7.5 2 3 4 6\n")
    with pytest.raises(EvalError, match=r"det_cat\.txt: image '000001': a score outside 0 to 1"):
        read_detections(path, ("cat",))
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EvalError, match=r"det_cat\.txt: cannot be read as text"):
        read_detections(path, ("cat",))
    (tmp_path / "board.txt").write_text("")
    path.write_text("000001 0.5 5 3 1 6\n")
    with pytest.raises(EvalError, match=r"det_cat\.txt: image '000001': a box whose end precedes its start"):
        read_detections(tmp_path, CLASSES[:2])
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(EvalError, match=r"notes\.txt: its name ends in no class; .* of cat, board, card_board"):
        read_detections(tmp_path, CLASSES)
