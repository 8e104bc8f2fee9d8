"""COCO captions: one JSON file that must agree with its folder and with itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.data.coco import CocoCaptions, read_captions
from core.data.records import DataError
from tests.data.layouts import coco


def edit(path: Path, change: Callable[[dict[str, list[dict[str, Any]]]], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def refused(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        CocoCaptions().records(root, "val")
    return str(caught.value)


def test_records_are_sorted_and_captions_are_one_line(tmp_path: Path) -> None:
    path = coco(tmp_path)
    edit(path, lambda content: content["annotations"][0].update(caption="  A dog\u2028and\r\n a\x0bcat. \n"))
    edit(path, lambda content: content["annotations"].reverse())
    edit(path, lambda content: content["images"].reverse())
    first, second, third = CocoCaptions().records(tmp_path, "val")
    assert (first.id, second.id, third.id) == (10, 20, 30)
    assert first.captions == ("A dog and a cat.", "Caption 1 of image 10.")
    assert second.path == tmp_path / "coco" / "val2017" / "000000000020.jpg"


def test_captions_without_image_files(tmp_path: Path) -> None:
    path = coco(tmp_path)
    edit(path, lambda content: content["images"].reverse())
    edit(path, lambda content: [image.pop("file_name") for image in content["images"]])
    for image in (tmp_path / "coco" / "val2017").iterdir():
        image.unlink()
    expected = {i: (f"Caption 0 of image {i}.", f"Caption 1 of image {i}.") for i in (10, 20, 30)}
    found = read_captions(path)
    assert list(found.items()) == list(expected.items())
    found.clear()  # what one caller does to it is not seen by the next
    assert read_captions(path) == expected


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = coco(tmp_path)
    assert len(read_captions(path)) == 3
    edit(path, lambda content: content["annotations"][0].update(caption="Another one."))
    assert read_captions(path)[10] == ("Another one.", "Caption 1 of image 10.")


def test_the_real_files(real_data: Path) -> None:
    for split, count in (("train", 120), ("val", 60)):
        records = CocoCaptions().records(real_data, split)
        assert len(records) == count
        assert read_captions(real_data / "coco" / "annotations" / f"captions_{split}2017.json") == {
            record.id: record.captions for record in records
        }


def test_the_real_captions_of_2014_without_images(real_data: Path) -> None:
    """Against the file as the standard library reads it."""
    path = real_data / "metrics" / "captions" / "captions_val2014_fakecap1000.json"
    expected: dict[int, list[str]] = {}
    for one in sorted(json.loads(path.read_text())["annotations"], key=lambda one: one["id"]):
        expected.setdefault(one["image_id"], []).append(" ".join(one["caption"].split()))
    assert read_captions(path) == {image: tuple(captions) for image, captions in expected.items()}
    assert len(expected) == 1000


def test_the_layout_of_2014(tmp_path: Path) -> None:
    coco(tmp_path, split="train2014")
    data = CocoCaptions(train="train2014", val="val2014")
    assert len(data.records(tmp_path, "train")) == 3
    assert (data.published("train"), data.published("val")) == (82_783, 40_504)
    assert {split: CocoCaptions().published(split) for split in ("train", "val")} == CocoCaptions.official


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c["annotations"][0].update(image_id=99), 'annotation 1010 (image 99): there is no image 99 in "ima'),
        (lambda c: c["annotations"][0].update(caption=" \n"), "1010 (image 10): the caption is empty, came ' "),
        (lambda c: c["annotations"][0].update(caption=None), "`$.annotations[0].caption`; annotations[0] is {'id': 10"),
        (lambda c: c["annotations"][0].pop("caption"), "field `caption` - at `$.annotations[0]`; annotations[0] is {"),
        (lambda c: c["annotations"][0].update(id="x"), "Expected `int`, got `str` - at `$.annotations[0].id`; anno"),
        (lambda c: c["annotations"][0].update(id=1011), "annotation 1011 is there twice"),
        (lambda c: c["annotations"].clear(), "image 10 (000000000010.jpg) has no caption"),
        (lambda c: c["images"].append({"id": 10, "file_name": "000000000010.jpg"}), "image 10 is there twice"),
        (lambda c: c["images"].append("x"), "got `str` - at `$.images[3]`; images[3] is 'x'. Expected COCO"),
        (lambda c: c["images"].clear(), '"images" is empty'),
        (lambda c: c.pop("images"), "required field `images`; keys there are: annotations. Expected COCO capt"),
    ],
)  # fmt: skip
def test_bad_content(tmp_path: Path, change: Callable[[dict[str, list[Any]]], object], reason: str) -> None:
    path = coco(tmp_path)
    edit(path, change)
    message = refused(tmp_path)
    assert message.startswith(f"{path}: ")
    assert reason in message


@pytest.mark.parametrize("name", ["000000000099.jpg", "../val2017/000000000010.jpg", "/etc/passwd"])
def test_an_image_file_that_does_not_exist_or_lies_elsewhere(tmp_path: Path, name: str) -> None:
    path = coco(tmp_path)
    edit(path, lambda content: content["images"][1].update(file_name=name))
    expected = tmp_path / "coco" / "val2017" / name
    assert refused(tmp_path) == f"{path}: image 20 has no file {expected}"


def test_an_image_without_a_file_name(tmp_path: Path) -> None:
    path = coco(tmp_path)
    edit(path, lambda content: content["images"][1].pop("file_name"))
    assert refused(tmp_path) == f'{path}: image 20 has no "file_name"'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "malformed JSON"),
        ("[]", "Expected `object`, got `array`. Expected COCO captions"),
        ("[" * 100_000, "malformed JSON"),
        ('{"images": [], "annotations": [{"id": "\\ud800", "image_id": 1, "caption": "x"}]}', "'utf-8' codec"),
    ],
)
def test_not_the_expected_json(tmp_path: Path, text: str, reason: str) -> None:
    path = coco(tmp_path)
    path.write_text(text)
    assert refused(tmp_path).startswith(f"{path}: {reason}")


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    path = coco(tmp_path)
    path.write_bytes(path.read_bytes()[:300])
    message = refused(tmp_path)
    assert message.startswith(f"{path}: malformed JSON (")
    assert "the file has 300 bytes: is it whole?" in message


def test_what_is_missing(tmp_path: Path) -> None:
    coco(tmp_path)
    message = CocoCaptions().missing(tmp_path, "train")
    assert message is not None
    assert f"file {tmp_path / 'coco' / 'annotations' / 'captions_train2017.json'} does not exist" in message
