"""Karpathy's splits: one JSON file for all splits, with image ids of COCO or of its own."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.data.karpathy import FLICKR8K, FLICKR30K, Karpathy, read_karpathy
from core.data.records import DataError
from tests.data.layouts import image, karpathy

SPLITS = {"train": 2, "restval": 1, "val": 1, "test": 2}


def edit(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    content = json.loads(path.read_text())
    change(content["images"])
    path.write_text(json.dumps(content))


def test_the_records_of_each_split(tmp_path: Path) -> None:
    """Ids are COCO's: 1000 - 3 i of image i; train is images 0 and 1, restval 2, val 3, test 4 and 5."""
    edit(karpathy(tmp_path, SPLITS), lambda images: images[0]["sentences"].reverse())
    data = Karpathy()
    assert [record.id for record in data.records(tmp_path, "train")] == [994, 997, 1000]
    assert [record.id for record in Karpathy(restval=False).records(tmp_path, "train")] == [997, 1000]
    assert [record.id for record in data.records(tmp_path, "val")] == [991]
    first, second = data.records(tmp_path, "test")
    assert (first.id, second.id) == (985, 988)
    assert first.path == tmp_path / "coco" / "val2014" / "COCO_val2014_000000000985.jpg"
    assert first.captions == ("Caption 0 of 5.", "Caption 1 of 5.")
    assert data.records(tmp_path, "train")[2].captions == ("Caption 0 of 0.", "Caption 1 of 0.")


def test_flickr_has_ids_of_the_file_and_one_folder(tmp_path: Path) -> None:
    karpathy(tmp_path, {"train": 2, "val": 1, "test": 1}, coco=False)
    first, second = FLICKR8K.records(tmp_path, "train")
    assert (first.id, second.id) == (0, 1)
    assert second.path == tmp_path / "Flicker8k_Dataset" / "1_abc.jpg"
    assert [record.id for record in FLICKR8K.records(tmp_path, "test")] == [3]


def test_captions_by_split_without_image_files(tmp_path: Path) -> None:
    path = karpathy(tmp_path, {"test": 1, "restval": 1, "train": 1}, captions=1)
    for file in (tmp_path / "coco" / "val2014").iterdir():
        file.unlink()
    assert read_karpathy(path) == {
        "train": {994: ("Caption 0 of 2.",)},
        "restval": {997: ("Caption 0 of 1.",)},
        "test": {1000: ("Caption 0 of 0.",)},
    }
    assert list(read_karpathy(path)) == ["train", "restval", "test"]


def test_captions_are_the_raw_text_as_one_line(tmp_path: Path) -> None:
    path = karpathy(tmp_path, {"test": 1})
    edit(path, lambda images: images[0]["sentences"][0].update(raw=" A dog\u2028and\r\n a\x00cat. \n", tokens=["no"]))
    assert read_karpathy(path)["test"][1000] == ("A dog and a cat.", "Caption 1 of 0.")


def test_published_counts() -> None:
    """Karpathy and Fei-Fei's: 113,287 + 5,000 + 5,000 are all 123,287 of COCO 2014."""
    counts = {split: Karpathy().published(split) for split in Karpathy.official}
    assert counts == Karpathy.official
    assert sum(counts.values()) == 82_783 + 40_504
    assert Karpathy(restval=False).published("train") == 82_783
    assert [FLICKR8K.published(split) for split in ("train", "val", "test")] == [6_000, 1_000, 1_000]
    assert [FLICKR30K.published(split) for split in ("train", "val", "test")] == [29_000, 1_014, 1_000]
    assert Karpathy("deep/dataset_flickr8k.json").published("train") == 6_000
    assert Karpathy("mine.json").published("train") == 0


def remove(key: str) -> Callable[[list[dict[str, Any]]], object]:
    return lambda images: images[1].pop(key)


def sentence(**changes: object) -> Callable[[list[dict[str, Any]]], object]:
    return lambda images: images[1]["sentences"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda images: [images[1].update(split="dev"), images[4].update(split="TEST"), images[5].update(split="")],
            "unknown splits: 'dev' (1 images), 'TEST' (1 images), '' (1 images); the first is that of image 1 "
            "(COCO_val2014_000000000997.jpg). Known are: train, restval, val, test",
        ),
        (sentence(raw=" \x00\n"), "image 1 (COCO_val2014_000000000997.jpg): sentence 2: the caption is empty, came ' "),
        (lambda images: images[1]["sentences"][0].pop("raw"), "field `raw` - at `$.images[1].sentences[0]`; images[1]"),
        (sentence(raw=7), "Expected `str`, got `int` - at `$.images[1].sentences[0].raw`; images[1].sentences[0] is {"),
        (sentence(sentid=5), "sentence 5 is there twice"),
        (lambda images: images[1]["sentences"].clear(), "997.jpg): it has no caption; leave it out of the file"),
        (lambda images: images[1].update(cocoid=1000), "image 1000 is there twice"),
        (lambda images: images[1].update(cocoid="x"), "Expected `int | null`, got `str` - at `$.images[1].cocoid`"),
        (remove("cocoid"), '997.jpg): expected "cocoid" of all images or of none; it has none'),
        (lambda images: images[0].pop("cocoid"), '997.jpg): expected "cocoid" of all images or of none; it has'),
        (remove("sentences"), "missing required field `sentences` - at `$.images[1]`; images[1] is {'filepath': "),
        (remove("split"), "missing required field `split` - at `$.images[1]`"),
        (lambda images: images[1].update(filepath="../val2014"), "be a folder below that of the images, came '../"),
        (lambda images: images[1].update(filepath="/etc"), "must be a folder below that of the images, came '/etc'"),
        (lambda images: images.clear(), '"images" is empty'),
    ],
)  # fmt: skip
def test_bad_content(tmp_path: Path, change: Callable[[list[dict[str, Any]]], object], reason: str) -> None:
    path = karpathy(tmp_path, SPLITS)
    edit(path, change)
    for read in (lambda: read_karpathy(path), lambda: Karpathy().records(tmp_path, "val")):
        with pytest.raises(DataError) as caught:
            read()
        assert str(caught.value).startswith(f"{path}: ")
        assert reason in str(caught.value)


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    path = karpathy(tmp_path, SPLITS)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match=r"dataset_coco\.json: malformed JSON .* is it whole\?\)\. Expected Karpathy"):
        read_karpathy(path)


def test_a_split_without_images(tmp_path: Path) -> None:
    path = karpathy(tmp_path, {"train": 1, "restval": 1})
    with pytest.raises(DataError) as caught:
        Karpathy().records(tmp_path, "test")
    assert str(caught.value) == f"{path}: no image is of the split 'test'; splits there are: restval, train"
    with pytest.raises(DataError, match=r"no split 'restval'. Splits there are: train, val, test"):
        Karpathy().records(tmp_path, "restval")


def test_an_image_file_or_folder_that_is_missing(tmp_path: Path) -> None:
    path = karpathy(tmp_path, SPLITS)
    gone = tmp_path / "coco" / "val2014" / "COCO_val2014_000000000991.jpg"
    gone.unlink()
    assert len(Karpathy().records(tmp_path, "train")) == 3  # its images are all there
    with pytest.raises(DataError) as caught:
        Karpathy().records(tmp_path, "val")
    assert str(caught.value) == f"{path}: image 991 has no file {gone}"
    edit(path, lambda images: images[3].update(filepath="train2014"))
    lost = re.escape(str(tmp_path / "coco" / "train2014"))
    with pytest.raises(DataError, match=rf"json: images lie in {lost}, which is no folder\.\nExpected below"):
        Karpathy().records(tmp_path, "val")
    path.unlink()
    with pytest.raises(DataError, match=r"dataset_coco\.json does not exist(.|\n)*caption_datasets\.zip"):
        Karpathy().records(tmp_path, "val")


def test_the_identity_of_a_split(tmp_path: Path) -> None:
    """It follows captions and images of the split, and nothing of the others."""
    path = karpathy(tmp_path, SPLITS)
    before = {split: Karpathy().fingerprint(tmp_path, split) for split in Karpathy.official}
    assert len(set(before.values())) == 3
    edit(path, lambda images: images[3]["sentences"][0].update(raw="Another."))  # of val
    image(tmp_path / "coco" / "val2014" / "COCO_val2014_000000000985.jpg", size=(64, 64))  # of test
    after = {split: Karpathy().fingerprint(tmp_path, split) for split in Karpathy.official}
    assert {split for split in after if after[split] != before[split]} == {"val", "test"}
