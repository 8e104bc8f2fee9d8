"""Splits that share images are refused, whatever name the image has; equal names alone are no leak."""

import json
import shutil
from pathlib import Path

import pytest

from core.data.coco_detection import CocoDetection
from core.data.records import DataError
from core.data.voc import VOC
from tests.data.layouts import image, voc, write
from transfer.tasks.detection.splits import check_splits

MINI = VOC(train=(("2007", "trainval"),))


def apart(root: Path, train: list[str], test: list[str]) -> Path:
    """A VOC of noise images, each of its own."""
    base = voc(root, {"trainval": train, "test": test})
    for seed, name in enumerate(sorted({*train, *test})):
        image(base / "JPEGImages" / f"{name}.jpg", seed=seed)
    return base


def test_splits_without_a_common_image_pass(tmp_path: Path) -> None:
    apart(tmp_path, ["000001", "000002"], ["000003", "000004"])  # all of the same size, with the same box
    check_splits(MINI, tmp_path)


def test_a_common_image_is_named(tmp_path: Path) -> None:
    apart(tmp_path, ["000001", "000002", "000003"], ["000003", "000004", "000001"])
    with pytest.raises(
        DataError, match=r'VOC: 2 of 3 images of the split "train" are in "test" too.*: 000001, 000003\. '
    ):
        check_splits(MINI, tmp_path)


def test_a_copy_under_another_name_or_of_another_year_is_found(tmp_path: Path) -> None:
    base = apart(tmp_path, ["000001"], ["000002"])
    shutil.copy(base / "JPEGImages" / "000001.jpg", base / "JPEGImages" / "000002.jpg")
    with pytest.raises(DataError, match=r"000001 \(in the test: 000002\)"):
        check_splits(MINI, tmp_path)
    later = VOC(train=(("2011", "trainval"),), test=(("2012", "val"),))
    voc(tmp_path, {"trainval": ["2008_000001"]}, year="2011")
    voc(tmp_path, {"val": ["2008_000001"]}, year="2012", objects=(("cat", (2, 2, 9, 9)),))
    with pytest.raises(DataError, match="2008_000001"):
        check_splits(later, tmp_path)


def one_image(root: Path, split: str, number: int, name: str, *, pixels: int, side: int) -> None:
    """A COCO split of one image with one box, which is another one for another `side`."""
    image(root / "coco" / split / name, seed=pixels)
    content = {
        "images": [{"id": number, "file_name": name, "width": 48, "height": 32}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": number, "category_id": 1, "bbox": [1, 2, side, 4]}],
    }
    write(root / "coco" / "annotations" / f"instances_{split}.json", json.dumps(content))


def test_equal_ids_names_and_boxes_of_different_images_are_no_leak(tmp_path: Path) -> None:
    one_image(tmp_path, "train2017", 1, "1.jpg", pixels=1, side=3)
    one_image(tmp_path, "val2017", 1, "1.jpg", pixels=2, side=3)
    check_splits(CocoDetection(), tmp_path)


@pytest.mark.parametrize(
    ("number", "name", "side"), [(1, "other.jpg", 9), (2, "1.jpg", 9), (2, "other.jpg", 3)], ids=["id", "name", "boxes"]
)
def test_equal_bytes_under_the_same_id_name_or_boxes_are_a_leak(
    tmp_path: Path, number: int, name: str, side: int
) -> None:
    one_image(tmp_path, "train2017", 1, "1.jpg", pixels=1, side=3)
    one_image(tmp_path, "val2017", number, name, pixels=1, side=side)
    with pytest.raises(DataError, match='COCO: 1 of 1 images of the split "train"'):
        check_splits(CocoDetection(), tmp_path)


def test_a_link_to_nowhere_is_named(tmp_path: Path) -> None:
    base = apart(tmp_path, ["000001"], ["000002"])  # their one box is the same, so their bytes are compared
    broken = base / "JPEGImages" / "000002.jpg"
    broken.unlink()
    broken.symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(DataError, match=f"^{broken}: the image file cannot be read"):
        check_splits(MINI, tmp_path)


def test_a_missing_split_is_said(tmp_path: Path) -> None:
    voc(tmp_path, {"trainval": ["000001"]})
    with pytest.raises(DataError, match=r"split 'test': file .*test\.txt does not exist"):
        check_splits(MINI, tmp_path)


def test_the_real_subset_is_apart(real_data: Path) -> None:
    check_splits(MINI, real_data)
