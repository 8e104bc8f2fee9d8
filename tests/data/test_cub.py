"""CUB-200-2011: five tables that must agree."""

from pathlib import Path

import pytest

from core.data.cub import CUB
from core.data.records import DataError
from tests.data.layouts import cub


def refused(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        CUB().records(root, "train")
    return str(caught.value)


def test_records(tmp_path: Path) -> None:
    cub(tmp_path, classes=2, per_class=4)
    train, test = (CUB().records(tmp_path, split) for split in ("train", "test"))
    assert [record.id for record in train] == [
        "001.Bird_1/Bird_0001.jpg", "001.Bird_1/Bird_0003.jpg", "002.Bird_2/Bird_0005.jpg", "002.Bird_2/Bird_0007.jpg",
    ]  # fmt: skip
    assert [record.label for record in test] == [0, 0, 1, 1]
    assert {record.boxes for record in (*train, *test)} == {((3.0, 2.0, 33.0, 22.0),)}
    assert all(isinstance(record.path, Path) and record.path.is_file() for record in (*train, *test))
    assert CUB().classes(tmp_path) == ("001.Bird_1", "002.Bird_2")


def test_a_subset_has_the_classes_that_have_images(tmp_path: Path) -> None:
    base = cub(tmp_path, classes=3, per_class=4)
    for table in ("images", "image_class_labels", "train_test_split", "bounding_boxes"):
        path = base / f"{table}.txt"
        lines = path.read_text().splitlines()
        path.write_text("\n".join(lines[:4] + lines[8:]))  # without the second class
    assert CUB().classes(tmp_path) == ("001.Bird_1", "003.Bird_3")
    assert [record.label for record in CUB().records(tmp_path, "train")] == [0, 0, 1, 1]


def test_the_order_of_lines_does_not_matter(tmp_path: Path) -> None:
    base = cub(tmp_path)
    before = CUB().records(tmp_path, "train"), CUB().fingerprint(tmp_path, "train")
    for table in base.glob("*.txt"):
        table.write_text("\n".join(reversed(table.read_text().splitlines())))
    assert (CUB().records(tmp_path, "train"), CUB().fingerprint(tmp_path, "train")) == before


@pytest.mark.parametrize(
    ("table", "line", "reason"),
    [
        ("images", "1", ":9: expected 2 fields, <image id> <file>; came '1'"),
        ("images", "one a/b.jpg", ":9: the id must be a whole number, came 'one'"),
        ("images", "1 001.Bird_1/Bird_0001.jpg", ":9: id 1 is listed twice"),
        ("image_class_labels", "9 1", "images.txt: has no line for image 9 (1 in all)"),
        ("images", "9 a/b.jpg", "image_class_labels.txt: has no line for image 9 (1 in all)"),
        ("bounding_boxes", "1 2 3 4", ":9: expected 5 fields, <image id> <x> <y> <width> <height>; came '1 2 3 4'"),
        ("classes", "4 gap", "class ids must be 1, 2, ... without gaps"),
    ],
)
def test_a_bad_line_more(tmp_path: Path, table: str, line: str, reason: str) -> None:
    path = cub(tmp_path) / f"{table}.txt"
    path.write_text(path.read_text() + line + "\n")
    message = refused(tmp_path)
    assert reason in message
    assert str(path.parent) in message


@pytest.mark.parametrize(
    ("table", "line", "reason"),
    [
        ("image_class_labels", "1 3", "class id 3 is not in classes.txt, which has 1 to 2"),
        ("image_class_labels", "1 0", "class id 0 is not in classes.txt"),
        ("train_test_split", "1 2", "expected 1 (train) or 0 (test), came '2'"),
        ("bounding_boxes", "1 3 2 0 20", "expected x, y >= 0 and width, height > 0, came 3 2 0 20"),
        ("bounding_boxes", "1 3 2 nan 20", "width must be a number, came 'nan'"),
        ("images", "1 001.Bird_1/Bird_0099.jpg", "image 1 has no file"),
        ("images", "1 007.Bond/Bird_0001.jpg", "image 1 has no file"),
    ],
)
def test_a_bad_first_line(tmp_path: Path, table: str, line: str, reason: str) -> None:
    path = cub(tmp_path) / f"{table}.txt"
    path.write_text("\n".join([line, *path.read_text().splitlines()[1:]]))
    message = refused(tmp_path)
    assert message.startswith(f"{path}:1: ")
    assert reason in message


def test_an_empty_split_and_text_that_is_not_utf8(tmp_path: Path) -> None:
    base = cub(tmp_path)
    (base / "train_test_split.txt").write_text("".join(f"{i} 0\n" for i in range(1, 9)))
    assert refused(tmp_path) == f"{base / 'train_test_split.txt'}: no image is in split 'train'"
    (base / "images.txt").write_bytes(b"\xff\xfe\x00")
    assert refused(tmp_path).startswith(f"{base / 'images.txt'}: expected UTF-8 text")


def test_what_is_missing(tmp_path: Path) -> None:
    base = cub(tmp_path)
    (base / "bounding_boxes.txt").unlink()
    message = CUB().missing(tmp_path, "test")
    assert message is not None
    assert f"file {base / 'bounding_boxes.txt'} does not exist" in message
