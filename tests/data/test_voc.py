"""VOC: boxes, parts, sets, and every way in which its files can be wrong."""

from pathlib import Path

import pytest

from core.data.records import DataError
from core.data.voc import VOC, VOC_CLASSES, annotations
from tests.data.layouts import image, voc, voc_object, voc_xml, write

MINI = VOC(train=(("2007", "trainval"),))


def annotate(root: Path, *objects: str, size: tuple[int, int] = (48, 32)) -> Path:
    """One image, 000001, in the set "trainval", with these objects. Returns the XML file."""
    base = voc(root, {"trainval": ["000001"]})
    return write(base / "Annotations" / "000001.xml", voc_xml(objects, size))


def refused(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        MINI.records(root, "train")
    return str(caught.value)


def test_boxes_are_half_open_from_zero(tmp_path: Path) -> None:
    annotate(
        tmp_path, voc_object("dog", (1, 1, 48, 32)), voc_object("tvmonitor", (3, 5, 3, 9), "1"),
        voc_object("aeroplane", ("45.70", "2.5", "46.1", "4"), None), voc_object("cat", (0, 0, 10, 10)),
    )  # fmt: skip
    (record,) = MINI.records(tmp_path, "train")
    assert list(record.boxes) == [(0, 0, 48, 32), (2, 4, 3, 9), (44.7, 1.5, 46.1, 4), (0, 0, 10, 10)]
    assert [VOC_CLASSES[label] for label in record.labels] == ["dog", "tvmonitor", "aeroplane", "cat"]
    assert record.difficult == (False, True, False, False)
    assert (record.id, record.size, record.path.name) == ("000001", (48, 32), "000001.jpg")


def test_a_part_before_the_box_is_not_taken_for_the_object(tmp_path: Path) -> None:
    box = "<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>6</xmax><ymax>6</ymax></bndbox>"
    annotate(tmp_path, voc_object("person", (2, 2, 40, 30), inside=f"<part><name>head</name>{box}</part>"))
    (record,) = MINI.records(tmp_path, "train")
    assert list(record.boxes) == [(1, 1, 40, 30)]
    assert record.labels == (VOC_CLASSES.index("person"),)


def test_sets_follow_one_another_and_ids_are_sorted_within(tmp_path: Path) -> None:
    voc(tmp_path, {"trainval": ["000007", "000002"]})
    voc(tmp_path, {"trainval": ["2008_000001"]}, year="2012")
    assert [record.id for record in VOC().records(tmp_path, "train")] == ["000002", "000007", "2008_000001"]


def test_classes_are_sorted_and_counts_are_the_published_ones() -> None:
    assert list(VOC_CLASSES) == sorted(VOC_CLASSES)
    assert len(VOC_CLASSES) == 20
    assert {split: VOC().published(split) for split in ("train", "test")} == VOC.official
    assert MINI.published("train") == 5011


@pytest.mark.parametrize(
    ("corners", "reason"),
    [
        ((1, 1, 49, 32), "outside the image of 48 x 32 pixels"),
        ((1, 1, 48, 33), "outside the image of 48 x 32 pixels"),
        ((-1, 1, 48, 32), "outside the image of 48 x 32 pixels"),
        ((10, 1, 9, 32), "has no area"),
        ((1, 10, 48, 9), "has no area"),
        ((0, 1, 0, 9), "has no area"),
        (("1e3x", 1, 48, 32), "xmin must be a number, came '1e3x'"),
        (("nan", 1, 48, 32), "xmin must be a number, came 'nan'"),
        ((1, 1, 48, "inf"), "ymax must be a number, came 'inf'"),
        ((1, 1, "", 32), "<bndbox/xmax> is missing or empty"),
    ],
)
def test_a_bad_box_is_named(tmp_path: Path, corners: tuple[float | str, ...], reason: str) -> None:
    xml = annotate(tmp_path, voc_object("cat", (1, 1, 2, 2)), voc_object("dog", corners))
    message = refused(tmp_path)
    assert message.startswith(f"{xml}: object 2 (dog): ")
    assert reason in message


def test_unknown_class_and_bad_flag(tmp_path: Path) -> None:
    xml = annotate(tmp_path, voc_object("doge", (1, 1, 2, 2)))
    message = refused(tmp_path)
    assert message.startswith(f"{xml}: object 1 (doge): unknown class 'doge'. Classes there are: aeroplane, ")
    annotate(tmp_path, voc_object("dog", (1, 1, 2, 2), "maybe"))
    assert "<difficult> must be 0 or 1, came 'maybe'" in refused(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<annotation><size>", "malformed XML"),
        ("", "malformed XML"),
        ("\x00\x01", "malformed XML"),
        ('<?xml version="1.0" encoding="no-such"?><annotation/>', "malformed XML"),
        ("<html/>", "expected <annotation> at the top, came <html>"),
        ("<annotation></annotation>", "<size/width> is missing or empty"),
        (voc_xml([], size=(0, 32)), "<size/width> must be positive, came 0"),
        (voc_xml([]).replace("48", "wide"), "size/width must be a whole number, came 'wide'"),
        (voc_xml(["<object/>"]), "object 1: <name> is missing or empty"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str, reason: str) -> None:
    xml = annotate(tmp_path)
    xml.write_text(text)
    message = refused(tmp_path)
    assert message.startswith(f"{xml}: ")
    assert reason in message


def test_entity_bombs_are_refused(tmp_path: Path) -> None:
    xml = annotate(tmp_path)
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    bomb = f'<!DOCTYPE annotation [<!ENTITY l0 "ha">{laughs}]><annotation>&l9;</annotation>'
    outside = '<!DOCTYPE annotation [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>'
    for text in (bomb, outside, '<!DOCTYPE annotation SYSTEM "http://localhost/a.dtd"><annotation/>'):
        xml.write_text(text)
        assert refused(tmp_path).startswith(f"{xml}: refused, an annotation needs no document type and no entities")


def test_an_id_without_its_files(tmp_path: Path) -> None:
    base = voc(tmp_path, {"trainval": ["000001", "000002"]})
    listed = base / "ImageSets" / "Main" / "trainval.txt"
    (base / "Annotations" / "000002.xml").unlink()
    xml = base / "Annotations" / "000002.xml"
    assert refused(tmp_path) == f"{listed}:2: image 000002 has no annotation file {xml}"
    (base / "JPEGImages" / "000001.jpg").unlink()
    jpeg = base / "JPEGImages" / "000001.jpg"
    assert refused(tmp_path) == f"{listed}:1: image 000001 has no file {jpeg}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("000001\n000001\n", ":2: image 000001 is in image set 'trainval' twice"),
        ("000001 -1\n", ":1: expected 1 fields, <image id>; came '000001 -1'"),
        ("\n", ": expected one image id per line, the file is empty"),
        ("000009\n", ":1: image 000009 has no file"),
    ],
)
def test_a_bad_set_file(tmp_path: Path, text: str, reason: str) -> None:
    listed = voc(tmp_path, {"trainval": ["000001"]}) / "ImageSets" / "Main" / "trainval.txt"
    listed.write_text(text)
    assert refused(tmp_path).startswith(f"{listed}{reason}")


def test_what_is_missing_is_said_with_the_layout(tmp_path: Path) -> None:
    voc(tmp_path, {"trainval": ["000001"]})
    message = VOC().missing(tmp_path, "train")
    assert message is not None
    assert f"folder {tmp_path / 'VOCdevkit' / 'VOC2012'} does not exist" in message
    assert "VOCdevkit/VOC<year>/ImageSets/Main/<set>.txt" in message
    assert MINI.missing(tmp_path, "train") is None
    with pytest.raises(DataError, match=r"file .*test\.txt does not exist"):
        MINI.records(tmp_path, "test")


def test_an_image_without_objects_is_kept(tmp_path: Path) -> None:
    annotate(tmp_path)
    image(tmp_path / "VOCdevkit" / "VOC2007" / "JPEGImages" / "000001.jpg")
    (record,) = MINI.records(tmp_path, "train")
    assert record.boxes == ()


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2007"])
def test_ground_truth_alone_needs_no_images(tmp_path: Path, below: str) -> None:
    base = voc(tmp_path, {"test": ["000007", "000002"]})
    records = VOC().records(tmp_path, "test")
    for path in (base / "JPEGImages").iterdir():
        path.unlink()
    (base / "JPEGImages").rmdir()
    assert annotations(tmp_path / below, "2007", "test") == records
    assert [record.id for record in records] == ["000002", "000007"]


def test_ground_truth_that_is_not_there(tmp_path: Path) -> None:
    base = voc(tmp_path, {"test": ["000001"], "dog_test": ["000001"]})
    listed = base / "ImageSets" / "Main" / "val.txt"
    with pytest.raises(DataError, match=f"^{listed}: no such image set. Sets there are: test$"):
        annotations(tmp_path, "2007", "val")
    with pytest.raises(DataError, match=r"VOC 2012: expected the folders Annotations .* There are VOC2007$"):
        annotations(tmp_path, "2012", "test")
    with pytest.raises(DataError, match=r"There is no year$"):
        annotations(tmp_path / "elsewhere", "2012", "test")


@pytest.mark.parametrize(("year", "id"), [("2007", "2008_000002"), ("2012", "000005")])
def test_the_years_mixed_up(tmp_path: Path, year: str, id: str) -> None:
    base = voc(tmp_path, {"trainval": [id]}, year=year)
    listed = base / "ImageSets" / "Main" / "trainval.txt"
    with pytest.raises(DataError, match=f"^{listed}:1: image {id} is not of VOC{year}: ids of 2007 are six digits"):
        VOC(train=((year, "trainval"),)).records(tmp_path, "train")
    with pytest.raises(DataError, match="Is another year's folder at"):
        annotations(tmp_path, year, "trainval")


def test_own_images_may_have_other_names(tmp_path: Path) -> None:
    voc(tmp_path, {"trainval": ["yard-3"]})
    assert [record.id for record in MINI.records(tmp_path, "train")] == ["yard-3"]


def test_results_call_images_and_classes_by_id_and_label(tmp_path: Path) -> None:
    naming = MINI.naming(tmp_path)
    assert naming.categories == tuple(range(20))
    assert naming.image_id("000012") == "000012"
