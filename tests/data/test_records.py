"""What all data sets share: splits, what is missing, identity. And the real subsets, read whole."""

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.data.coco import CocoCaptions
from core.data.coco_detection import CocoDetection
from core.data.cub import CUB
from core.data.imagenet import ImageNet
from core.data.images import image_size, read_rgb
from core.data.karpathy import FLICKR8K, Karpathy
from core.data.records import DataError, DataSet, Need
from core.data.synthetic.world import MARK
from core.data.voc import VOC
from tests.data.layouts import coco, coco_boxes, cub, image, imagenet, karpathy, voc

ALL: list[tuple[DataSet[Any], str, Callable[[Path], Path]]] = [
    (ImageNet(), "val", lambda root: imagenet(root, {"train": {"n1": 1}, "val": {"n1": 3}}, boxes=True)),
    (CUB(), "train", cub),
    (VOC(), "test", lambda root: voc(root, {"test": ["000001", "000002"]})),
    (CocoCaptions(), "val", coco),
    (Karpathy(), "test", lambda root: karpathy(root, {"train": 1, "test": 2})),
    (FLICKR8K, "val", lambda root: karpathy(root, {"train": 1, "val": 2}, coco=False)),
    (CocoDetection(), "test", coco_boxes),
]
each = pytest.mark.parametrize(("data", "split", "build"), ALL, ids=[data.name for data, _, _ in ALL])


@each
def test_an_unknown_split_lists_the_splits(tmp_path: Path, data: DataSet[Any], split: str, build: Any) -> None:
    build(tmp_path)
    for call in (data.records, data.missing, data.fingerprint):
        with pytest.raises(DataError, match=rf"{data.name} has no split 'dev'. Splits there are: .*{split}"):
            call(tmp_path, "dev")


@each
def test_an_absent_root_and_an_empty_one(tmp_path: Path, data: DataSet[Any], split: str, build: Any) -> None:
    gone = data.missing(tmp_path / "gone", split)
    empty = data.missing(tmp_path, split)
    assert gone is not None
    assert empty is not None
    assert f"{data.name}, split {split!r}: the data root {tmp_path / 'gone'} does not exist." in gone
    assert "\n--data-root FOLDER says" in gone
    assert f"{data.name}, split {split!r}: folder {tmp_path / data.folder} does not exist." in empty  # type: ignore[attr-defined] # every set here has a folder
    assert all(line.strip() in empty for line in data.layout.strip().splitlines())
    build(tmp_path)
    assert data.missing(tmp_path, split) is None
    with pytest.raises(DataError) as caught:
        data.records(tmp_path / "gone", split)
    assert str(caught.value) == gone


@each
def test_identity(tmp_path: Path, data: DataSet[Any], split: str, build: Any) -> None:
    build(tmp_path / "a")
    before = data.fingerprint(tmp_path / "a", split)
    assert before == data.fingerprint(tmp_path / "a", split, data.records(tmp_path / "a", split)[::-1])
    assert len(bytes.fromhex(before)) == 8
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert data.fingerprint(tmp_path / "b", split) == before
    last = data.records(tmp_path / "b", split)[-1]
    image(last.path, size=(64, 64), seed=1)
    assert data.fingerprint(tmp_path / "b", split) != before
    last.path.unlink()
    with pytest.raises(DataError, match=last.path.name):
        data.fingerprint(tmp_path / "b", split, [last])


@each
def test_every_annotation_is_part_of_the_identity(tmp_path: Path, data: DataSet[Any], split: str, build: Any) -> None:
    build(tmp_path)
    records = data.records(tmp_path, split)
    seen = {data.fingerprint(tmp_path, split, records, boxes=True)}
    for field in dataclasses.fields(records[0]):
        if field.name != "path":
            value: Any = ("changed",) if field.name != "id" else type(records[0].id)(7)
            changed = dataclasses.replace(records[0], **{field.name: value})
            seen.add(data.fingerprint(tmp_path, split, [*records[1:], changed], boxes=True))
    assert len(seen) == len(dataclasses.fields(records[0]))


@each
def test_boxes_are_part_of_a_classifiers_identity_only_where_asked_for(
    tmp_path: Path, data: DataSet[Any], split: str, build: Any
) -> None:
    build(tmp_path)
    records = data.records(tmp_path, split)
    changed = {name: ("changed",) for name in ("boxes", "size") if hasattr(records[0], name)}
    others = [dataclasses.replace(record, **changed) for record in records]
    same = data.fingerprint(tmp_path, split, records) == data.fingerprint(tmp_path, split, others)
    assert same == (data.name in ("ImageNet", "CUB-200-2011", "COCO captions", Karpathy.name))


@each
def test_what_is_watched_is_there_and_changes_with_the_annotations(
    tmp_path: Path, data: DataSet[Any], split: str, build: Any
) -> None:
    build(tmp_path)
    watched = data.watched(tmp_path, split)
    annotations = [path for path in tmp_path.rglob("*") if path.suffix in (".txt", ".json")]
    unwatched = {path.name for path in annotations} - {path.name for path in watched}
    assert unwatched <= {"image_ids.txt"}  # of wsolevaluation's metadata, not read
    records = data.records(tmp_path, split)
    assert data.name == "CUB-200-2011" or {record.path.parent for record in records} <= set(watched)
    assert data.watched(tmp_path / "gone", split), "asked before the data is there"


def test_a_link_to_nowhere_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "VOCdevkit").symlink_to(tmp_path / "disk")
    message = VOC().missing(tmp_path, "test")
    assert message is not None
    assert f"is a link to {tmp_path / 'disk'}, which does not exist" in message


@pytest.mark.parametrize("wrong", [".", "data/VOCdevkit"])
def test_a_root_one_level_off_names_the_right_one(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "data/VOCdevkit").mkdir(parents=True)
    message = VOC().missing(tmp_path / wrong, "test")
    assert message is not None
    assert f"There is {tmp_path}/data/VOCdevkit: say --data-root {tmp_path}/data (of make" in message
    (tmp_path / "data" / MARK).touch()
    assert "does not exist.\n--data-root FOLDER says" in str(VOC().missing(tmp_path / wrong, "test"))


def test_need_and_data_sets_are_values() -> None:
    assert Need(VOC(), "test") == Need(VOC(), "test")
    assert len({VOC(), VOC(test=()), CUB(), CUB()}) == 3


def test_no_torch() -> None:
    modules = "captions coco coco_detection cub imagenet images karpathy overlap voc records"
    code = (
        f"import sys; [__import__(f'core.data.{{m}}') for m in {modules.split()!r}]; sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


REAL: list[tuple[DataSet[Any], str, int]] = [
    *((VOC(train=(("2007", "trainval"),)), "train", 300), (VOC(), "test", 200)),
    *((CUB(), "train", 120), (CUB(), "test", 119), (ImageNet(), "train", 600), (ImageNet(), "val", 250)),
    *((CocoCaptions(), "train", 120), (CocoCaptions(), "val", 60)),
]


@pytest.mark.parametrize(("data", "split", "count"), REAL, ids=[f"{data.name}-{split}" for data, split, _ in REAL])
def test_real_subsets(real_data: Path, data: DataSet[Any], split: str, count: int) -> None:
    records = data.records(real_data, split)
    assert len(records) == count
    for record in records:
        size = image_size(record.path)
        assert read_rgb(record.path).size == size
        if isinstance(data, CocoCaptions):
            assert len(record.captions) == 5
            continue
        assert record.size in (None, size)
        for x0, y0, x1, y1 in record.boxes:
            assert 0 <= x0 < x1 <= size[0]
            assert 0 <= y0 < y1 <= size[1]


def test_real_labels_and_boxes(real_data: Path) -> None:
    cub_records = [*CUB().records(real_data, "train"), *CUB().records(real_data, "test")]
    assert {record.label for record in cub_records} == set(range(10))
    assert len(CUB().classes(real_data)) == 10
    train, val = (ImageNet().records(real_data, split) for split in ("train", "val"))
    assert len(ImageNet().classes(real_data)) == 10
    assert {record.label for record in train} == {record.label for record in val} == set(range(10))
    assert sum(len(record.boxes) for record in val) == 404
    assert all(record.boxes and record.size == (224, 224) for record in val)
    scenes = VOC().records(real_data, "test")
    parts = next(scene for scene in scenes if scene.id == "000067")
    assert len(parts.boxes) == len(parts.labels) == len(parts.difficult)
    assert any(flag for scene in scenes for flag in scene.difficult)
