"""A captioner is not tested on what it learned from."""

import json
import re
import shutil
from pathlib import Path

import pytest

from core.data.coco import CocoCaptions
from core.data.karpathy import Karpathy
from core.data.records import DataError
from tests.data.layouts import coco, image, karpathy
from transfer.tasks.captioning.splits import check_splits


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """train2017 with images 10, 20, 30, and val2017 with 1010, 1020; each of its own bytes."""
    coco(tmp_path, split="train2017")
    path = coco(tmp_path, images=2)
    content = json.loads(path.read_text())
    for one in content["images"]:
        (tmp_path / "coco" / "val2017" / one["file_name"]).unlink()
        one["id"] += 1000
        one["file_name"] = f"{one['id']:012d}.jpg"
        image(tmp_path / "coco" / "val2017" / one["file_name"], seed=one["id"])
    for one in content["annotations"]:
        one["image_id"] += 1000
        one["caption"] += " Of the test."
    path.write_text(json.dumps(content))
    return tmp_path


def edit(root: Path, image: int, **changes: object) -> None:
    """Change an image of val2017, its annotations too where its id is another."""
    path = root / "coco" / "annotations" / "captions_val2017.json"
    content = json.loads(path.read_text())
    for one in content["images"]:
        if one["id"] == image:
            one.update(changes)
    for one in content["annotations"]:
        if one["image_id"] == image:
            one["image_id"] = changes.get("id", image)
    path.write_text(json.dumps(content))


def copy(root: Path, name: str, new: str) -> None:
    folder = root / "coco"
    shutil.copy(folder / "train2017" / name, folder / "val2017" / new)


def test_splits_that_share_nothing_pass(root: Path) -> None:
    check_splits(CocoCaptions(), "val", root)


def test_the_real_splits_share_nothing(real_data: Path) -> None:
    check_splits(CocoCaptions(), "val", real_data)


def test_an_image_of_another_name_is_found_by_its_id(root: Path) -> None:
    """2014's and 2017's files are the same images under the same ids; their names differ."""
    copy(root, "000000000020.jpg", "COCO_val2014_000000000020.jpg")
    edit(root, 1020, id=20, file_name="COCO_val2014_000000000020.jpg")
    with pytest.raises(DataError) as caught:
        check_splits(CocoCaptions(), "val", root)
    assert str(caught.value).startswith(
        "COCO captions: 1 of 3 images of the split \"train\" are in 'val' too, so that the test would measure what was "
        "learned by heart: image 20 (000000000020.jpg, in the test image 20, COCO_val2014_000000000020.jpg). Name"
    )


def test_an_image_of_another_id_is_found_by_its_name_and_by_its_captions(root: Path) -> None:
    copy(root, "000000000020.jpg", "000000000020.jpg")
    edit(root, 1020, file_name="000000000020.jpg")
    with pytest.raises(
        DataError, match=r"1 of 3 images .* image 20 \(000000000020.jpg, in the test image 1020, 000000000020.jpg"
    ):
        check_splits(CocoCaptions(), "val", root)
    copy(root, "000000000020.jpg", "x.jpg")
    edit(root, 1020, file_name="x.jpg")
    check_splits(CocoCaptions(), "val", root)  # neither name nor captions: no reason to compare them
    path = root / "coco" / "annotations" / "captions_val2017.json"
    path.write_text(path.read_text().replace(" Of the test.", ""))
    with pytest.raises(
        DataError, match=r"1 of 3 images .* image 20 \(000000000020.jpg, in the test image 1020, x.jpg\)"
    ):
        check_splits(CocoCaptions(), "val", root)


def test_an_image_that_the_test_has_twice_counts_once(root: Path) -> None:
    for id in (1010, 1020):
        copy(root, "000000000020.jpg", f"{id}.jpg")
        edit(root, id, file_name=f"{id}.jpg")
    path = root / "coco" / "annotations" / "captions_val2017.json"
    path.write_text(re.sub(r"of image \d+\. Of the test", "of image 20", path.read_text()))
    with pytest.raises(
        DataError, match=r"1 of 3 images .* image 20 \(000000000020.jpg, in the test image 1010, [^,]*\)\."
    ):
        check_splits(CocoCaptions(), "val", root)


def test_the_same_id_of_other_bytes_is_another_image(root: Path) -> None:
    """Sets of one's own number their images from 1 in each file."""
    edit(root, 1020, id=20)
    check_splits(CocoCaptions(), "val", root)


def test_one_file_that_two_splits_name(tmp_path: Path) -> None:
    path = karpathy(tmp_path, {"train": 2, "test": 2})
    content = json.loads(path.read_text())
    for one in content["images"][2:]:
        one["filename"] = content["images"][0]["filename"]
    path.write_text(json.dumps(content))
    with pytest.raises(
        DataError, match=r"1 of 2 images .* image 1000 \(COCO_val2014_000000001000.jpg, in the test image \d+, "
    ):
        check_splits(Karpathy(), "test", tmp_path)


def test_a_test_on_the_training_split_and_splits_that_are_not_there(root: Path) -> None:
    with pytest.raises(DataError, match=r'expected another split than "train".* Splits there are: train, val'):
        check_splits(CocoCaptions(), "train", root)
    with pytest.raises(DataError, match=r"no split 'test'\. Splits there are: train, val"):
        check_splits(CocoCaptions(), "test", root)
    (root / "coco" / "val2017" / "000000001020.jpg").unlink()
    with pytest.raises(DataError, match=r"captions_val2017\.json: image 1020 has no file .*000000001020\.jpg"):
        check_splits(CocoCaptions(), "val", root)
