"""COCO's boxes: the reader's numbers and refusals, and the data set that it makes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.data.coco_detection import CocoDetection
from core.data.coco_instances import read_instances
from core.data.records import DataError
from tests.data.layouts import image

Change = Callable[[dict[str, list[dict[str, Any]]]], object]


def content() -> dict[str, list[dict[str, Any]]]:
    """Two images and an empty one, of 48 x 32 pixels, categories 3 and 7; nothing in order."""
    return {
        "images": [{"id": i, "file_name": f"{i:012d}.jpg", "width": 48, "height": 32} for i in (200, 9, 30)],
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat", "supercategory": "animal"}],
        "annotations": [
            {"id": 5, "image_id": 30, "category_id": 7, "bbox": [1, 2, 30.5, 20], "area": 400.25, "iscrowd": 0},
            {"id": 4, "image_id": 30, "category_id": 3, "bbox": [40, 20, 8.0, 12.5], "area": 50, "iscrowd": 0},
            {"id": 6, "image_id": 9, "category_id": 7, "bbox": [0, 0, 48, 32], "area": 90, "iscrowd": 1},
            {"id": 8, "image_id": 30, "category_id": 7, "bbox": [5, 5, 10, 0], "area": 0, "iscrowd": 0},
        ],
    }


def write(root: Path, change: Change = len, split: str = "val2017") -> Path:
    made = content()
    change(made)
    path = root / "coco" / "annotations" / f"instances_{split}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(made))
    for i in (9, 30, 200):
        image(root / "coco" / split / f"{i:012d}.jpg", seed=i)
    return path


def test_ids_become_places_and_boxes_become_corners(tmp_path: Path) -> None:
    found = read_instances(write(tmp_path))
    assert (found.classes, found.category_ids) == (("cat", "dog"), (3, 7))
    assert [one.id for one in found.images] == [9, 30, 200]
    assert [found.images[i].id for i in found.positions] == [30, 30, 9, 30]
    assert [found.category_ids[k] for k in found.labels] == [7, 3, 7, 7]
    assert found.ids.tolist() == [5, 4, 6, 8]
    assert found.boxes[:3].tolist() == [[1, 2, 31.5, 22], [40, 20, 48, 32.5], [0, 0, 48, 32]]
    assert found.areas.tolist() == [400.25, 50, 90, 0]
    assert found.crowd.tolist() == [False, False, True, False]


def test_scenes_are_cut_to_the_image_and_crowds_are_difficult(tmp_path: Path) -> None:
    crowd, busy, empty = read_instances(write(tmp_path)).scenes()
    assert [scene.id for scene in (crowd, busy, empty)] == ["9", "30", "200"]
    assert [scene.labels for scene in (crowd, busy, empty)] == [(1,), (0, 1), ()]
    assert [scene.difficult for scene in (crowd, busy, empty)] == [(True,), (False, False), ()]
    assert list(crowd.boxes) == [(0, 0, 48, 32)]
    assert list(busy.boxes) == [
        (40, 20, 48, 32),
        (1, 2, 31.5, 22),
    ]  # by the annotations' ids; the box without area is gone
    assert (empty.boxes, empty.size, str(empty.path)) == ((), (48, 32), "000000000200.jpg")


@pytest.mark.parametrize("mark", [1, True])
def test_an_ignored_object_is_difficult_and_no_crowd(tmp_path: Path, mark: int) -> None:
    found = read_instances(write(tmp_path, lambda made: made["annotations"][1].update(ignore=mark)))
    assert not found.crowd[1]
    assert found.scenes()[1].difficult == (True, False)


def test_area_and_crowd_may_be_left_out(tmp_path: Path) -> None:
    def bare(made: dict[str, list[dict[str, Any]]]) -> None:
        made["annotations"] = [
            {k: one[k] for k in ("id", "image_id", "category_id", "bbox")} for one in made["annotations"]
        ]

    found = read_instances(write(tmp_path, bare))
    assert found.areas.tolist() == [610, 100, 1536, 0]
    assert not found.crowd.any()
    assert len(read_instances(write(tmp_path, lambda made: made["annotations"].clear())).ids) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: c["annotations"][0].update(image_id=99), 'annotation 5: there is no image 99 in "images"'),
        (lambda c: c["annotations"][0].update(category_id=1), 'annotation 5: there is no category 1 in "categories"'),
        (lambda c: c["annotations"][1].update(bbox=[1, 2, 3]), "of length 4 - at `$.annotations[1].bbox`"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, -3, 4]), "annotation 5: expected that 'bbox' is x, y, width"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, float("nan"), 4]), "JSON is malformed"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, float("inf"), 4]), "JSON is malformed"),
        (lambda c: c["annotations"][0].update(bbox=["1", 2, 3, 4]), "got `str` - at `$.annotations[0].bbox[0]`"),
        (lambda c: c["annotations"][0].update(bbox="1234"), "got `str` - at `$.annotations[0].bbox`"),
        (lambda c: c["annotations"][0].update(area=-1), "annotation 5: expected that 'area' is not negative; came"),
        (lambda c: c["annotations"][0].update(iscrowd=2), "Invalid enum value 2 - at `$.annotations[0].iscrowd`"),
        (
            lambda c: c["annotations"][0].update(iscrowd=[]),
            "Expected `int`, got `array` - at `$.annotations[0].iscrowd`",
        ),
        (lambda c: c["annotations"][0].pop("id"), "missing required field `id` - at `$.annotations[0]`"),
        (lambda c: c["annotations"][0].update(id=2**63), "Expected `int` <= 9223372036854775807"),
        (lambda c: c["annotations"][0].update(bbox=[0, 0, 10**400, 1]), "Number out of range"),
        (lambda c: c["annotations"][0].update(id=4), "annotation 4 is there twice"),
        (lambda c: c["annotations"].append(3), "Expected `object`, got `int` - at `$.annotations[4]`"),
        (lambda c: c["images"][0].update(id=9), "image 9 is there twice"),
        (lambda c: c["images"][0].update(width=0), "image 200: expected a positive size, came 0 x 32"),
        (lambda c: c["images"][0].pop("height"), "missing required field `height` - at `$.images[0]`"),
        (lambda c: c["images"].clear(), '"images" is empty'),
        (lambda c: c["categories"].clear(), '"categories" is empty'),
        (lambda c: c["categories"][0].update(id=3), "category 3 is there twice"),
        (lambda c: c["categories"][0].update(name=3), "Expected `str`, got `int` - at `$.categories[0].name`"),
        (lambda c: c["categories"][0].update(id=True), "Expected `int`, got `bool` - at `$.categories[0].id`"),
        (lambda c: c.pop("categories"), "missing required field `categories`. Expected COCO instances: an object with"),
    ],
)
def test_bad_content_names_file_and_entry(tmp_path: Path, change: Change, reason: str) -> None:
    path = write(tmp_path, change)
    with pytest.raises(DataError) as caught:
        read_instances(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"images": [', "truncated"), (b"[]", "Expected `object`, got `array`"), (b"", "truncated"),
        (b'{"x": ' + b"[" * 100_000, ""), (b'{"images": [{"id": 1, "file_name": "\xff\xfe"}]}', ""),
    ],
)  # fmt: skip
def test_not_the_expected_json(tmp_path: Path, text: bytes, reason: str) -> None:
    path = write(tmp_path)
    path.write_bytes(text)
    with pytest.raises(DataError, match=f"^{path}: .*{reason}.*Expected COCO instances"):
        read_instances(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_instances(tmp_path / "none.json")


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read_instances(path).ids) == 4


def test_training_leaves_out_what_has_nothing_to_learn(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, split="train2017")
    data = CocoDetection()
    assert [record.id for record in data.records(tmp_path, "train")] == ["30"]
    assert [record.id for record in data.records(tmp_path, "test")] == ["9", "30", "200"]
    assert [record.id for record in CocoDetection(keep_empty=True).records(tmp_path, "train")] == ["9", "30", "200"]
    assert data.records(tmp_path, "test")[0].path == tmp_path / "coco" / "val2017" / "000000000009.jpg"
    assert {split: data.published(split) for split in ("train", "test")} == data.official
    assert CocoDetection(keep_empty=True).published("train") == 118_287
    assert len(data.instances(tmp_path, "train").ids) == 4


def test_results_call_classes_and_images_as_the_file_does(tmp_path: Path) -> None:
    write(tmp_path)
    naming = CocoDetection().naming(tmp_path)
    assert naming.categories == (3, 7)
    assert naming.image_id("30") == 30
    assert CocoDetection().classes(tmp_path) == ("cat", "dog")
    write(tmp_path, lambda c: c["categories"].append({"id": 1, "name": "ape"}))
    assert CocoDetection().classes(tmp_path) == ("ape", "cat", "dog"), "the file has changed"


def test_splits_of_different_categories_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    path = write(tmp_path, lambda c: c["categories"].append({"id": 1, "name": "ape"}), split="train2017")
    with pytest.raises(DataError, match=rf"^{path}: its categories are not those of .*; they differ in 1 \(ape\)$"):
        CocoDetection().records(tmp_path, "train")


def test_nothing_to_learn_and_files_that_are_not_there(tmp_path: Path) -> None:
    write(tmp_path)
    path = write(tmp_path, lambda c: c["annotations"].clear(), split="train2017")
    with pytest.raises(DataError, match=f"^{path}: none of 3 images has an object to learn$"):
        CocoDetection().records(tmp_path, "train")
    (tmp_path / "coco" / "val2017" / "000000000030.jpg").unlink()
    with pytest.raises(DataError, match=r"image 30 has no file .*000000000030\.jpg"):
        CocoDetection().records(tmp_path, "test")
    with pytest.raises(DataError, match=r"file .*instances_other\.json does not exist"):
        CocoDetection(test="other").classes(tmp_path)


def test_file_names_may_have_folders(tmp_path: Path) -> None:
    write(tmp_path, lambda c: [one.update(file_name=f"a/{one['file_name']}") for one in c["images"]])
    with pytest.raises(DataError, match=r"image 9 has no file .*val2017/a/000000000009\.jpg"):
        CocoDetection().records(tmp_path, "test")
    folder = tmp_path / "coco" / "val2017"
    (folder / "a").mkdir()
    for path in folder.glob("*.jpg"):
        path.rename(folder / "a" / path.name)
    assert all(record.path.parent == folder / "a" for record in CocoDetection().records(tmp_path, "test"))


def test_a_published_file(real_data: Path) -> None:
    """100 of COCO's val2014, with 80 categories whose ids have gaps."""
    path = real_data / "metrics" / "coco_bbox" / "sampled_gts_bbox_area.json"
    raw, found = json.loads(path.read_text()), read_instances(path)
    assert len(found.images) == 100
    assert len(found.categories) == 80
    assert found.category_ids[-1] == 90
    boxes = np.array([one["bbox"] for one in raw["annotations"]])
    assert np.array_equal(found.boxes[:, :2], boxes[:, :2])
    np.testing.assert_allclose(found.boxes[:, 2:] - found.boxes[:, :2], boxes[:, 2:], atol=1e-9)
    scenes = found.scenes()
    assert sum(len(scene.boxes) for scene in scenes) == 830
    assert all(0 <= x0 < x1 <= s.size[0] and 0 <= y0 < y1 <= s.size[1] for s in scenes for x0, y0, x1, y1 in s.boxes)
