"""The synthetic world: written whole or not at all, the same bytes every time, and read by the real loaders."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.data.coco import CocoCaptions
from core.data.cub import CUB
from core.data.imagenet import ImageNet
from core.data.images import read_rgb
from core.data.records import DataSet
from core.data.synthetic import World, layouts, pictures, scenes
from core.data.synthetic.__main__ import main
from core.data.synthetic.backgrounds import CAMOUFLAGE
from core.data.synthetic.grammar import NOUNS, PLACES, Thing, captions
from core.data.synthetic.scenes import Scene
from core.data.synthetic.species import FAMILIES, PARTS, catalogue, part
from core.data.voc import VOC, VOC_CLASSES
from core.errors import UserError

TINY = World(
    name="tiny", imagenet_classes=7, imagenet_train=2, imagenet_val=2, cub_classes=3, cub_train=2, cub_test=1,
    voc_trainval=5, voc_test=3, coco_train=4, coco_val=3,
)  # fmt: skip
VOC07 = VOC(train=(("2007", "trainval"),))
CHECKOUT = Path(__file__).parents[2]
MANY = range(120)
"""Indices of pictures of the default world that properties are checked on."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world") / "tiny"
    TINY.ensure(folder)
    return folder


@pytest.fixture(scope="module")
def singles() -> list[Scene]:
    return [pictures.one_species(World(), "imagenet/val", index) for index in MANY]


@pytest.fixture(scope="module")
def streets() -> list[Scene]:
    return [pictures.street(World(), "voc", index) for index in MANY]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# The same bytes


def test_the_same_fields_give_the_same_bytes(root: Path, tmp_path: Path) -> None:
    TINY.ensure(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(root)


def test_a_picture_does_not_depend_on_those_drawn_before_it() -> None:
    forwards = [pictures.street(TINY, "voc", index).pixels for index in range(4)]
    backwards = [pictures.street(TINY, "voc", index).pixels for index in reversed(range(4))]
    assert all(np.array_equal(one, other) for one, other in zip(forwards, reversed(backwards), strict=True))


def test_another_seed_or_set_or_index_is_another_picture() -> None:
    drawn = [
        pictures.one_species(replace(TINY, seed=seed), name, index).pixels.tobytes()
        for seed in (0, 1)
        for name in ("imagenet/train", "imagenet/val")
        for index in (0, TINY.imagenet_classes)
    ]
    assert len(set(drawn)) == 8


def test_what_the_default_world_shows_is_frozen() -> None:
    """Fails where the renderer draws something else from the same fields: then raise world.VERSION."""
    drawn = [pictures.captioned(World(), "coco", index) for index in range(4)]
    told = [(scene.setting, *(f"{one.colour} {one.species.family}" for one in scene.objects)) for scene in drawn]
    assert told == [
        ("night", "white car", "white car"),
        ("water", "red cat"),
        ("night", "gray pottedplant", "red cat"),
        ("sand", "black pottedplant", "gray pottedplant", "purple pottedplant"),
    ]
    boxes = [scene.objects[0].box for scene in drawn]
    assert boxes == [(0, 49, 59, 87), (10, 33, 43, 56), (43, 10, 63, 36), (37, 19, 66, 52)]


# What is in the pictures


def test_parts_are_small_and_inside_their_objects(singles: list[Scene]) -> None:
    shares = []
    for placed in (placed for scene in singles for placed in scene.objects):
        if placed.part is not None:
            assert overlap(placed.part, placed.box) == area(placed.part)
            shares.append(area(placed.part) / area(placed.box))
    assert 0.05 < np.median(shares) < 0.12
    assert max(shares) < 0.2


def test_boxes_lie_inside_of_the_image_and_objects_vary_in_scale(singles: list[Scene], streets: list[Scene]) -> None:
    shares = []
    for scene in (*singles, *streets):
        height, width = scene.pixels.shape[:2]
        for x0, y0, x1, y1 in (placed.box for placed in scene.objects):
            assert 0 <= x0 < x1 <= width
            assert 0 <= y0 < y1 <= height
            shares.append((x1 - x0) * (y1 - y0) / (width * height))
    assert np.quantile(shares, 0.9) > 5 * np.quantile(shares, 0.1)


def test_a_box_in_the_middle_finds_few_objects(singles: list[Scene]) -> None:
    size = World().imagenet_size
    for share in (0.6, 0.7, 0.8, 1.0):
        margin = round((1 - share) / 2 * size)
        middle = (margin, margin, size - margin, size - margin)
        found = [any(iou(middle, placed.box) >= 0.5 for placed in scene.objects) for scene in singles]
        assert np.mean(found) < 0.45


def test_a_box_is_around_the_pixels_that_are_at_least_half_covered() -> None:
    assert scenes.FINER == 2
    mask = np.zeros((40, 60), bool)
    mask[8:18, 14:24] = True  # rows 4 to 8, columns 7 to 11 of the image
    mask[7, 14:24] = True  # half of row 3
    mask[10, 24] = True  # a quarter of one pixel in column 12
    assert scenes._box(mask) == (7, 3, 12, 9)
    assert scenes._box(np.zeros_like(mask)) is None


def test_scenes_have_several_objects_of_every_family_and_some_are_covered(streets: list[Scene]) -> None:
    placed = [one for scene in streets for one in scene.objects]
    assert {one.species.family for one in placed} == set(FAMILIES) <= set(VOC_CLASSES)
    assert {len(scene.objects) for scene in streets} == set(range(1, World().voc_objects + 1))
    flags = [layouts.difficult(one) for one in placed]
    assert 0.02 < np.mean(flags) < 0.4
    assert all(one.visible < 0.5 or min(one.box[2] - one.box[0], one.box[3] - one.box[1]) < 10
               for one, flag in zip(placed, flags, strict=True) if flag)  # fmt: skip
    assert min(one.visible for one in placed) >= 0.25


def test_every_class_has_a_part_of_its_own() -> None:
    general, birds = catalogue(20, 10)
    assert len({species.part for species in (*general, *birds)}) == 30
    assert {species.family for species in general} == set(FAMILIES)
    assert {species.family for species in birds} == {"bird"}
    assert len({part(index) for index in range(PARTS)}) == PARTS
    with pytest.raises(UserError, match=rf"{PARTS} different parts"):
        catalogue(PARTS, 1)


# Captions


def test_five_different_captions_that_are_true() -> None:
    for index in MANY:
        scene = pictures.captioned(World(), "coco", index)
        height, width = scene.pixels.shape[:2]
        told = captions([layouts._thing(placed, width, height) for placed in scene.objects], scene.setting)
        assert len({text.lower() for text in told}) == 5
        nouns = {NOUNS[placed.species.family] for placed in scene.objects}
        for text in (told[0], told[2]):
            words = set(re.findall(r"[a-z]+", text.lower()))
            assert {noun for noun in NOUNS.values() if {noun, noun + "s"} & words} == nouns
            assert {placed.colour for placed in scene.objects} <= words
        assert PLACES[scene.setting][0] in told[0]
        assert not {placed.colour for placed in scene.objects} & set(CAMOUFLAGE[scene.setting])


def test_captions_count_and_say_who_is_where() -> None:
    left, right = Thing("bird", "red", 0.05, 0.2, 0.5), Thing("bird", "red", 0.2, 0.8, 0.4)
    above = Thing("aeroplane", "orange", 0.4, 0.9, 0.1)
    assert captions([left, right, above], "snow") == (
        "Two red birds and a large orange plane in the snow.",
        "There are two birds and a large plane on a winter day.",
        "In the snow are two red birds and a large orange plane.",
        "An orange plane is above a red bird.",
        "A picture of two birds and a large plane in the snow.",
    )
    assert captions([left, right], "sand")[3] == "A red bird is to the right of another bird."
    assert captions([above, left], "snow")[3] == "An orange plane is to the right of a red bird."
    assert captions([left], "night")[1::2] == (
        "There is a small bird in the dark.",
        "A small red bird in the left of the image.",
    )


# On disk


@pytest.mark.parametrize(
    ("data", "splits"),
    [
        (ImageNet(), ("train", "val")),
        (CUB(), ("train", "test")),
        (VOC07, ("train", "test")),
        (CocoCaptions(), ("train", "val")),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_real_loaders_read_it(root: Path, data: DataSet[Any], splits: tuple[str, str]) -> None:
    for split in splits:
        records = data.records(root, split)
        assert len(records) == TINY.images(data.name, split)
        for record in records:
            opened = read_rgb(record.path).size
            assert getattr(record, "size", None) in (None, opened)


def test_imagenet_on_disk_is_what_was_drawn(root: Path) -> None:
    records = {Path(record.id).name: record for record in ImageNet().records(root, "val")}
    for index in range(TINY.imagenet_classes * TINY.imagenet_val):
        scene = pictures.one_species(TINY, "imagenet/val", index)
        record = records[f"ILSVRC2012_val_{index + 1:08d}.JPEG"]
        assert sorted(record.boxes) == sorted(placed.box for placed in scene.objects)
        assert (record.label, record.size) == (index % TINY.imagenet_classes, (64, 64))
        error = np.asarray(read_rgb(record.path), float) - scene.pixels
        assert np.abs(error.reshape(8, 8, 8, 8, 3).mean(axis=(1, 3))).mean() < 1  # JPEG keeps the means of its blocks
    assert ImageNet().classes(root) == tuple(f"n{label:08d}" for label in range(1, 8))


def test_cub_on_disk_is_what_was_drawn(root: Path) -> None:
    for split, numbers in (("train", (0, 1)), ("test", (2,))):
        records = CUB().records(root, split)
        drawn = [3 * number + label for number in numbers for label in range(3)]
        assert [record.boxes[0] for record in records] == [pictures.bird(TINY, "cub", i).objects[0].box for i in drawn]
        assert [record.label for record in records] == [index % 3 for index in drawn]


def test_voc_on_disk_is_what_was_drawn(root: Path) -> None:
    for offset, split in ((0, "train"), (TINY.voc_trainval, "test")):
        for index, record in enumerate(VOC07.records(root, split), start=offset):
            objects = pictures.street(TINY, "voc", index).objects
            assert record.id == f"{index + 1:06d}"
            assert record.boxes == tuple(placed.box for placed in objects)
            assert [VOC_CLASSES[label] for label in record.labels] == [placed.species.family for placed in objects]
            assert record.difficult == tuple(layouts.difficult(placed) for placed in objects)


def test_coco_on_disk_is_what_was_drawn(root: Path) -> None:
    records = (*CocoCaptions().records(root, "train"), *CocoCaptions().records(root, "val"))
    assert [record.id for record in records] == list(range(1, 8))
    for index, record in enumerate(records):
        scene = pictures.captioned(TINY, "coco", index)
        height, width = scene.pixels.shape[:2]
        assert record.captions == captions([layouts._thing(one, width, height) for one in scene.objects], scene.setting)


# Once, whole, and nothing else's


def test_a_finished_world_is_not_written_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    monkeypatch.setattr(layouts, "albums", None)
    TINY.ensure(root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_an_interrupted_world_does_not_look_finished(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(world: World, folder: Path) -> Iterator[None]:
        yield
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(layouts, "coco", interrupted)
        with pytest.raises(KeyboardInterrupt):
            TINY.ensure(tmp_path / "w")
    assert not (tmp_path / "w").exists()
    TINY.ensure(tmp_path / "w")
    assert contents(tmp_path / "w") == contents(root)


def test_a_killed_writer_is_started_over(root: Path, tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from core.data.synthetic import layouts; from tests.data.test_synthetic import TINY;"
        "layouts.coco = lambda world, folder: iter(lambda: os._exit(9), None); TINY.ensure(pathlib.Path(sys.argv[1]))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "w")], check=False, cwd=CHECKOUT).returncode == 9
    assert not (tmp_path / "w").exists()
    assert any(tmp_path.glob(".w.unfinished/imagenet"))
    TINY.ensure(tmp_path / "w")
    assert contents(tmp_path / "w") == contents(root)
    assert not list(tmp_path.glob(".w.unfinished*"))


def test_two_processes_at_once_write_one_world(root: Path, tmp_path: Path) -> None:
    code = "import pathlib, sys; from tests.data.test_synthetic import TINY; TINY.ensure(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(tmp_path / "w")]
    both = [subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sum("ImageNet, 28 pictures" in text for text in told) == 1
    assert contents(tmp_path / "w") == contents(root)


def test_another_world_in_the_folder_is_refused(root: Path) -> None:
    before = contents(root)
    with pytest.raises(UserError, match=r"seed: there 0, asked for 3; voc_test: there 3, asked for 4"):
        replace(TINY, seed=3, voc_test=4).ensure(root)
    assert contents(root) == before


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(UserError, match=r"no synthetic world \(no world.json\)"):
        TINY.ensure(tmp_path)
    (tmp_path / "world.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        TINY.ensure(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["precious.txt", "world.json"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"voc_test": 0}, "voc_test = 0; expected at least 1"),
        ({"coco_size": 8}, "coco_size = 8; expected at least 32"),
        ({"hidden_part": 1.5}, "hidden_part = 1.5; expected a probability"),
        ({"imagenet_scale": (0.9, 0.4)}, "imagenet_scale"),
        ({"coco_objects": 6}, "captions count to 5"),
        ({"name": "../elsewhere"}, "world name"),
    ],
)
def test_numbers_that_no_world_has_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        World(**fields)  # type: ignore[arg-type]  # fields of several types


def test_a_split_that_no_world_has_has_no_images() -> None:
    assert TINY.images("VOC", "val") is None
    assert TINY.images("CIFAR-100", "train") is None


def test_the_command_line_writes_a_world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fields = [f"--{name.replace('_', '-')}=1" for name in (
        "imagenet_train", "imagenet_val", "imagenet_classes", "cub_classes", "cub_train", "cub_test", "voc_trainval",
        "voc_test", "coco_train", "coco_val")]  # fmt: skip
    assert main(["--root", str(tmp_path / "w"), *fields]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'w'}\n"
    assert len(ImageNet().records(tmp_path / "w", "train")) == 1
    assert main(["--root", str(tmp_path / "w"), *fields, "--seed", "1"]) == 2
    assert "seed: there 0, asked for 1" in capsys.readouterr().err


def area(box: tuple[int, int, int, int]) -> float:
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> float:
    x0, y0, x1, y1 = (pick(a, b) for pick, a, b in zip((max, max, min, min), one, other, strict=True))
    return area((x0, y0, max(x0, x1), max(y0, y1)))


def iou(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> float:
    shared = overlap(one, other)
    return shared / (area(one) + area(other) - shared)
