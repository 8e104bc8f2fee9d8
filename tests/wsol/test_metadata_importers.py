"""Importers: each data set's own convention for boxes becomes the same half-open one, and the command writes it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.data.cub import CUB
from core.data.imagenet import ImageNet
from core.errors import UserError
from tests.data import layouts
from wsol.metadata import coco, cub, imagenet, text, voc
from wsol.metadata.command import import_main
from wsol.metadata.records import Object, of_one_class
from wsol.metadata.validate import validate


def test_cub_boxes_are_x_y_width_height(tmp_path: Path) -> None:
    layouts.cub(tmp_path)  # x 3, y 2, width 30, height 20 of 48 x 32
    truths = cub.read(tmp_path)
    assert [truth.id for truth in truths] == [record.id for record in CUB().records(tmp_path, "test")]
    assert [truth.label for truth in truths] == [0, 0, 1, 1]
    assert {truth.size for truth in truths} == {(48, 32)}
    assert truths[0].boxes.tolist() == [[3, 2, 33, 22]]
    assert len(cub.read(tmp_path / "CUB_200_2011", "train")) == 4


def test_imagenet_xml_corners_count_from_zero_and_are_inside(tmp_path: Path) -> None:
    folder = tmp_path / "Annotations/CLS-LOC/val"
    objects = [layouts.voc_object("n02", (4, 3, 40, 20)), layouts.voc_object("n02", (-2, 0, 50, 31))]
    layouts.write(folder / "ILSVRC2012_val_00000002.xml", layouts.voc_xml(objects))
    layouts.write(folder / "ILSVRC2012_val_00000001.xml", layouts.voc_xml([layouts.voc_object("n05", (0, 0, 47, 31))]))
    first, second = imagenet.read(tmp_path)
    assert (first.id, first.label, first.boxes.tolist()) == ("val/ILSVRC2012_val_00000001.JPEG", 1, [[0, 0, 48, 32]])
    assert (second.label, second.size) == (0, (48, 32))
    assert sorted(second.boxes.tolist()) == [[0, 0, 48, 32], [4, 3, 41, 21]]  # the second one clipped
    names = layouts.write(tmp_path / "synsets.txt", "n05 hen\nn01 tench\nn02 shark\n")
    assert [truth.label for truth in imagenet.read(folder, classes=names)] == [2, 1]
    layouts.write(names, "n05 hen\n")
    with pytest.raises(UserError, match=r"synsets\.txt: has no line for n02"):
        imagenet.read(tmp_path, classes=names)


def test_an_imagenet_image_has_one_class(tmp_path: Path) -> None:
    objects = [layouts.voc_object("n02", (4, 3, 40, 20)), layouts.voc_object("n03", (4, 3, 40, 20))]
    layouts.write(tmp_path / "a.xml", layouts.voc_xml(objects))
    with pytest.raises(UserError, match=r"a\.xml: expected objects of one class, came n02, n03"):
        imagenet.read(tmp_path)
    layouts.write(tmp_path / "a.xml", layouts.voc_xml([]))
    with pytest.raises(UserError, match="came none"):
        imagenet.read(tmp_path)


def test_imagenet_class_folders_give_the_records_ids(tmp_path: Path) -> None:
    layouts.imagenet(tmp_path, {"train": {"n01": 1, "n02": 1}, "val": {"n01": 1, "n02": 2}}, boxes=True)
    truths = imagenet.read(tmp_path / "imagenet")
    records = ImageNet().records(tmp_path, "val")
    assert [(truth.id, truth.label) for truth in truths] == [(record.id, record.label) for record in records]
    assert truths[0].boxes.tolist() == [[4, 3, 41, 21]]


def test_an_image_is_of_its_most_frequent_class() -> None:
    big, small = (0.0, 0.0, 9.0, 9.0), (0.0, 0.0, 1.0, 1.0)
    assert of_one_class([]) == []
    assert {one.label for one in of_one_class([Object(4, big), Object(2, small), Object(2, small)])} == {2}
    assert {one.label for one in of_one_class([Object(2, small), Object(4, big)])} == {4}  # of equals the larger area
    assert {one.label for one in of_one_class([Object(4, big), Object(2, big)])} == {2}  # of equals the lower class
    assert [one.box for one in of_one_class([Object(4, big), Object(2, small)], 2)] == [small]
    assert of_one_class([Object(4, big)], 2) == []


def test_voc_corners_count_from_one_and_difficult_objects_do_not_count(tmp_path: Path) -> None:
    base = layouts.voc(tmp_path, {"test": ["a", "b", "c"]})
    objects = [
        layouts.voc_object("cat", (1, 1, 10, 10)),
        layouts.voc_object("cat", ("3.4", "4.0", "20.2", 32)),
        layouts.voc_object("dog", (1, 1, 48, 32)),
        *[layouts.voc_object("person", (1, 1, 48, 32), difficult="1")] * 3,
    ]
    layouts.write(base / "Annotations/a.xml", layouts.voc_xml(objects))
    layouts.write(base / "Annotations/b.xml", layouts.voc_xml([layouts.voc_object("cat", (1, 1, 9, 9), difficult="1")]))
    truths = {truth.id: truth for truth in voc.read(base)}
    assert list(truths) == ["a.jpg", "c.jpg"]
    assert truths["a.jpg"].label == 7  # cat
    assert truths["a.jpg"].boxes.tolist() == [[0, 0, 10, 10], [2, 3, 21, 32]]
    dogs = voc.read(tmp_path / "VOCdevkit", class_name="dog")
    assert [(truth.id, truth.boxes.tolist()) for truth in dogs] == [(f"{i}.jpg", [[0, 0, 48, 32]]) for i in "ac"]
    with pytest.raises(UserError, match="there is no class 'cow '; classes there are: aeroplane"):
        voc.read(base, class_name="cow ")
    with pytest.raises(UserError, match="no image of test has an object cow"):
        voc.read(base, class_name="cow")


def annotation(number: int, image: int, category: int, box: list[float], shape: Any, crowd: int = 0) -> dict[str, Any]:
    ids = {"id": number, "image_id": image, "category_id": category}
    return {**ids, "bbox": box, "segmentation": shape, "iscrowd": crowd}


def instances(root: Path, **changes: Any) -> Path:
    """Two images of 10 x 8; image 1 has two cats (a polygon and run lengths), a dog, and a crowd of cats."""
    runs = [8 * 2 + 1, 3, 5, 3, 80 - 28]  # COCO's run lengths go down the columns, zeros first
    content = {
        "images": [
            {"id": 2, "file_name": "b.jpg", "width": 10, "height": 8},
            {"id": 1, "file_name": "a.jpg", "width": 10, "height": 8},
        ],
        "categories": [{"id": 90, "name": "dog"}, {"id": 17, "name": "cat"}],
        "annotations": [
            annotation(7, 1, 17, [1.5, 2, 3, 4.2], [[1, 2, 5, 2, 5, 6, 1, 6]]),
            annotation(8, 1, 17, [2, 1, 2, 3], {"counts": runs, "size": [8, 10]}),
            annotation(9, 1, 90, [0, 0, 10, 8], [[0, 0, 10, 0, 10, 8]]),
            annotation(10, 1, 17, [8, 0, 2, 8], {"counts": [64, 16], "size": [8, 10]}, crowd=1),
            annotation(11, 1, 17, [8, 0, 0, 8], []),
            annotation(12, 2, 90, [9, 7, 1, 1], [[9, 7, 10, 7, 10, 8, 9, 8]]),
        ],
        **changes,
    }
    return layouts.write(root / "annotations/instances_val2017.json", json.dumps(content))


def test_coco_boxes_grow_to_whole_pixels(tmp_path: Path) -> None:
    instances(tmp_path)
    first, second = coco.read(tmp_path)
    assert (first.id, first.size, first.label) == ("a.jpg", (10, 8), 0)  # category 17 is the first one
    assert first.boxes.tolist() == [[1, 2, 5, 7], [2, 1, 4, 4]]
    assert (second.id, second.label, second.boxes.tolist()) == ("b.jpg", 1, [[9, 7, 10, 8]])
    assert [truth.id for truth in coco.read(tmp_path / "annotations", class_name="cat")] == ["a.jpg"]


def test_coco_masks_are_written_as_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    instances(tmp_path)
    out = tmp_path / "out"
    assert import_main(["coco", str(tmp_path), str(out), "--masks"]) == 0
    assert "2 images of 2 classes, 3 masks" in capsys.readouterr().out
    first, second = text.read(out)
    assert [path.name for path in first.masks] == ["a.jpg_7.png", "a.jpg_8.png"]
    polygon, runs, ignore = (np.array(Image.open(path)) for path in (*first.masks, first.ignore) if path)
    expected = np.zeros((3, 8, 10), np.uint8)
    expected[0, 2:6, 1:5] = 255
    expected[1, 1:4, 2:4] = 255
    expected[2, :, 8:] = 255
    np.testing.assert_array_equal([polygon, runs, ignore], expected)
    assert second.ignore is None
    assert validate(out) == []


def test_coco_run_lengths_as_text_are_read(tmp_path: Path) -> None:
    from pycocotools import mask as coder

    pixels = np.zeros((8, 10), np.uint8, order="F")
    pixels[1:4, 2:4] = 1
    encoded = coder.encode(pixels)
    shape = {"counts": encoded["counts"].decode(), "size": [8, 10]}
    instances(tmp_path, annotations=[annotation(8, 1, 17, [2, 1, 2, 3], shape)])
    (truth,) = coco.read(tmp_path, masks=tmp_path / "masks")
    np.testing.assert_array_equal(np.array(Image.open(truth.masks[0])), pixels * 255)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"categories": None}, "expected a list of objects 'categories'"),
        ({"annotations": [{"id": 1, "image_id": 5, "category_id": 17}]}, "annotation 1: no such image or category"),
        (
            {"annotations": [{"id": 1, "image_id": 1, "category_id": 17, "bbox": [1, 2]}]},
            r"annotation 1: expected bbox",
        ),
        ({"annotations": [{"id": 1, "image_id": 1, "category_id": 17, "bbox": [20, 2, 4, 4]}]}, "lies outside"),
        ({"annotations": []}, "no image has an object"),
    ],
)
def test_a_malformed_instances_file_is_named(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    path = instances(tmp_path, **changes)
    with pytest.raises(UserError, match=rf"{path.name}: .*{reason}"):
        coco.read(tmp_path)


def test_the_command_writes_what_the_reader_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layouts.cub(tmp_path)
    assert import_main(["cub", str(tmp_path), str(tmp_path / "out"), "--split", "train"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/out: 4 images of 2 classes, 4 boxes\n"
    for one, again in zip(cub.read(tmp_path, "train"), text.read(tmp_path / "out"), strict=True):
        assert (one.id, one.size, one.label, one.boxes.tolist()) == (
            again.id,
            again.size,
            again.label,
            again.boxes.tolist(),
        )
    assert validate(tmp_path / "out", tmp_path / "CUB_200_2011/images") == []
    assert import_main(["cub", str(tmp_path / "nowhere"), str(tmp_path / "out")]) == 2
    assert import_main(["voc", str(tmp_path), str(tmp_path / "out"), "--force"]) == 2
    assert "years there are: none" in capsys.readouterr().err


def test_real_subsets_import_without_a_problem(real_data: Path, tmp_path: Path) -> None:
    for kind, root, images, count in (
        ("cub", "CUB_200_2011", "CUB_200_2011/images", 119),
        ("voc", "VOCdevkit/VOC2007", "VOCdevkit/VOC2007/JPEGImages", 200),
        ("imagenet", "imagenet", "imagenet/val", 250),
    ):
        out = tmp_path / kind
        assert import_main([kind, str(real_data / root), str(out)]) == 0
        assert [str(problem) for problem in validate(out, real_data / images)] == []
        assert len(text.read(out)) == count


def test_real_metadata_reads_and_its_only_oddity_is_noted(real_data: Path) -> None:
    folder = real_data / "imagenet/localization"
    assert len(text.read(folder)) == 250
    problems = validate(folder)
    assert problems
    assert all(problem.notice and ("x1 224" in problem.what or "y1 224" in problem.what) for problem in problems)
