"""ImageNet: class folders, and boxes from either kind of annotation."""

import logging
import shutil
from pathlib import Path

import pytest

from core.data.imagenet import ImageNet
from core.data.records import DataError
from tests.data.layouts import image, imagenet, voc_object, voc_xml, write

TWO = {"train": {"n01": 2, "n02": 3}, "val": {"n01": 2, "n02": 1}}


def refused(root: Path, split: str = "val", data: ImageNet | None = None) -> str:
    with pytest.raises(DataError) as caught:
        (data or ImageNet()).records(root, split)
    return str(caught.value)


def test_records_are_sorted_and_suffixes_may_be_any(tmp_path: Path) -> None:
    base = imagenet(tmp_path, TWO)
    image(base / "train" / "n01" / "a.jpeg")
    image(base / "train" / "n01" / "b.Png", kind="PNG")
    for name in ("notes.txt", "._n01_0.JPEG"):
        (base / "train" / "n01" / name).touch()
    (base / "train" / ".cache").mkdir()
    records = ImageNet().records(tmp_path, "train")
    assert [record.id for record in records] == [
        *("n01/a.jpeg", "n01/b.Png", "n01/n01_0.JPEG", "n01/n01_1.JPEG"),
        *("n02/n02_0.JPEG", "n02/n02_1.JPEG", "n02/n02_2.JPEG"),
    ]
    assert [record.label for record in records] == [0] * 4 + [1] * 3
    assert all(isinstance(record.path, Path) and record.path.is_file() for record in records)
    assert all(record.boxes == () and record.size is None for record in records)


def test_labels_of_a_subset_are_those_of_train(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    base = imagenet(tmp_path, TWO)
    shutil.rmtree(base / "val" / "n01")
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            assert [record.label for record in ImageNet().records(tmp_path, "val")] == [1]
    said = f"{base / 'val'}: 1 of the 2 class folders of train; the others are not tested"
    assert caplog.messages == [said], "once, though records are read several times in a run"
    shutil.rmtree(base / "train")
    assert [record.label for record in ImageNet().records(tmp_path, "val")] == [0]
    assert ImageNet().classes(tmp_path) == ("n02",)


def test_val_classes_that_train_lacks_are_listed(tmp_path: Path) -> None:
    base = imagenet(tmp_path, {"train": {"n01": 1}, "val": {"n01": 1, "n02": 1, "n03": 1}})
    assert refused(tmp_path) == f"{base / 'val'}: 2 of 3 class folders are not in {base / 'train'}: n02, n03"


def test_a_flat_val_folder_says_how_it_must_look(tmp_path: Path) -> None:
    base = imagenet(tmp_path, {"train": {"n01": 1}})
    for i in range(3):
        image(base / "val" / f"ILSVRC2012_val_0000000{i}.JPEG")
    message = ImageNet().missing(tmp_path, "val")
    assert message is not None
    assert message == refused(tmp_path)
    assert f"folder {base / 'val'} holds 3 files (ILSVRC2012_val_00000000.JPEG, ...) and no class folders" in message
    assert "val/n01440764/ILSVRC2012_val_00000000.JPEG" in message
    assert "imagenet/val/<class folder>/*.JPEG" in message


def test_archives_empty_folders_and_empty_classes(tmp_path: Path) -> None:
    base = imagenet(tmp_path, TWO)
    (base / "train" / "n03").mkdir()
    assert refused(tmp_path, "train") == f"{base / 'train'}: no image (.jpg, .jpeg, .png) in class folder n03"
    shutil.rmtree(base / "train")
    (base / "train").mkdir()
    assert f"folder {base / 'train'} is empty" in refused(tmp_path, "train")
    (base / "train" / "n01.tar").touch()
    assert "holds 1 archives (n01.tar, ...): unpack each" in refused(tmp_path, "train")


def test_metadata_corners_are_inclusive(tmp_path: Path) -> None:
    base = imagenet(tmp_path, TWO, boxes=True)
    lines = ["val/ILSVRC2012_val_00000001.JPEG,0,0,47,31", "val/ILSVRC2012_val_00000001.JPEG,9,9,9,9"]
    lines.append("val/ILSVRC2012_val_99999999.JPEG,0,0,500,500")  # an image that this subset does not have
    text = (base / "localization" / "localization.txt").read_text().splitlines()
    write(base / "localization" / "localization.txt", "\n".join(lines + text[1:]))
    first, second, third = ImageNet().records(tmp_path, "val")
    assert list(first.boxes) == [(0, 0, 48, 32), (9, 9, 10, 10)]
    assert list(second.boxes) == list(third.boxes) == [(4, 3, 41, 21)]
    assert first.size == (48, 32)
    assert all(record.boxes == () for record in ImageNet().records(tmp_path, "train"))


def test_boxes_may_come_later_and_a_classifiers_identity_stays(tmp_path: Path) -> None:
    base = imagenet(tmp_path, TWO, boxes=True)
    data = ImageNet()
    before, with_boxes = data.fingerprint(tmp_path, "val"), data.fingerprint(tmp_path, "val", boxes=True)
    assert before != with_boxes
    shutil.rmtree(base / "localization")
    assert {record.boxes for record in data.records(tmp_path, "val")} == {()}
    assert data.fingerprint(tmp_path, "val") == before
    assert data.missing(tmp_path, "val") is None
    message = data.missing(tmp_path, "val", boxes=True)
    assert message is not None
    assert message.startswith(f"ImageNet, split 'val': folder {base / 'localization'} does not exist.")
    with pytest.raises(DataError) as caught:
        data.fingerprint(tmp_path, "val", boxes=True)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("table", "line", "reason"),
    [
        ("localization", "val/ILSVRC2012_val_00000001.JPEG,4,3,40", "localization.txt:1: expected 5 fields"),
        ("localization", "val/ILSVRC2012_val_00000001.JPEG,4,3,4o,20", "localization.txt:1: x1 must be a number"),
        ("localization", "val/ILSVRC2012_val_00000001.JPEG,4,3,49,20", "0 <= x0 <= x1 <= 48"),
        ("localization", "val/ILSVRC2012_val_00000001.JPEG,4,3,3,20", "came x0 4, y0 3, x1 3, y1 20"),
        ("localization", "", "localization.txt: has no box for 1 of 3 images: ILSVRC2012_val_00000001"),
        ("image_sizes", "", "image_sizes.txt: has no line for image val/ILSVRC2012_val_00000001.JPEG, which"),
        ("image_sizes", "val/ILSVRC2012_val_00000001.JPEG,0,3", "image_sizes.txt:1: width and height must be positive"),
        ("class_labels", "val/ILSVRC2012_val_00000001.JPEG,1", "class_labels.txt:2: image val/ILSVRC2012_val_00000002"),
    ],
)
def test_bad_metadata(tmp_path: Path, table: str, line: str, reason: str) -> None:
    path = imagenet(tmp_path, TWO, boxes=True) / "localization" / f"{table}.txt"
    path.write_text("\n".join([line, *path.read_text().splitlines()[1:]]))
    message = refused(tmp_path)
    assert message.startswith(str(path.parent))
    assert reason in message


def test_published_label_numbers_of_a_subset_pass(tmp_path: Path) -> None:
    path = imagenet(tmp_path, TWO, boxes=True) / "localization" / "class_labels.txt"
    path.write_text(path.read_text().replace(",1", ",207").replace(",0", ",3"))
    assert [record.label for record in ImageNet().records(tmp_path, "val")] == [0, 0, 1]


def test_xml_boxes(tmp_path: Path) -> None:
    base = imagenet(tmp_path, TWO)
    data = ImageNet(boxes="Annotations")
    for i, wnid in enumerate(("n01", "n01", "n02"), start=1):
        objects = [voc_object(wnid, (4, 3, 40, 20)), voc_object("n09", (1, 1, 2, 2)), voc_object(wnid, (-2, 0, 48, 31))]
        write(base / "Annotations" / f"ILSVRC2012_val_0000000{i}.xml", voc_xml(objects))
    records = data.records(tmp_path, "val")
    assert {record.boxes for record in records} == {((0, 0, 48, 32), (4, 3, 41, 21))}
    assert {record.size for record in records} == {(48, 32)}
    last = base / "Annotations" / "ILSVRC2012_val_00000003.xml"
    write(last, voc_xml([voc_object("n09", (1, 1, 2, 2))]))
    expected = f"{last}: expected an object of the image's class folder n02; objects there are: n09"
    assert refused(tmp_path, data=data) == expected
    write(last, voc_xml([voc_object("n02", (60, 1, 70, 2))]))
    assert refused(tmp_path, data=data).startswith(f"{last}: object 1 (n02): expected 0 <= x0 <= x1 <= 48")
    last.unlink()
    message = refused(tmp_path, data=data)
    assert message.startswith(f"{last} does not exist: expected in {base / 'Annotations'} either localization.txt")


def test_equal_file_names_cannot_have_boxes(tmp_path: Path) -> None:
    base = imagenet(tmp_path, TWO, boxes=True)
    image(base / "val" / "n02" / "ILSVRC2012_val_00000001.JPEG")
    assert "boxes are found by file name, but only 3 of 4 names differ" in refused(tmp_path)
