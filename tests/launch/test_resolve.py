"""What a table's configs resolve to: digests, data, counts, errors that stay with their cells."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from core import atomic
from core.config import load
from core.data.coco import CocoCaptions
from core.data.cub import CUB
from core.data.imagenet import ImageNet
from core.data.records import Need
from core.data.synthetic import World
from core.data.voc import VOC
from core.errors import UserError
from core.stage import cell_digest, fingerprint
from eval.table import Column, Row, Table
from launch.plan import Plan, PlannedCell, Source, cached, plan_path
from launch.resolve import Resolver
from tests.data.layouts import imagenet, voc

CONFIG = """
from dataclasses import dataclass
from core.data.synthetic import World
from core.data.voc import VOC
from core.data.records import Need
from core.stage import Stage

@dataclass(frozen=True, kw_only=True)
class Task(Stage):
    def needs(self):
        return (Need(VOC(train=(("2007", "trainval"),)), "train"), Need(VOC(train=(("2007", "trainval"),)), "test"))
    def images(self, count):
        train, test = (count(need) for need in self.needs())
        return 10 * train + test

config = Task({fields})
"""
TINY = World(
    "tiny",
    imagenet_train=1,
    imagenet_val=1,
    cub_train=1,
    cub_test=1,
    voc_trainval=4,
    voc_test=3,
    coco_train=4,
    coco_val=3,
)
WORLD = f"world={TINY!r}"


@pytest.fixture
def configs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of configs with tables/, in the current folder."""
    for folder in ("tables", "pretrain", "transfer"):
        (tmp_path / "configs" / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "configs"


def resolve(rows: tuple[Row, ...], *, dry_run: bool = False, data_root: Path | None = None) -> dict[str, PlannedCell]:
    table = Table("t", rows, (Column("VOC", ("transfer/voc",), "map"),), seeds=(0, 7))
    source = Source(Path("configs/tables/t.py"), data_root=data_root)
    return {cell.key: cell for cell in Resolver(source, table, dry_run).plan().cells}


TIMM = (Row("R", backbone="timm:resnet10t"),)
KEY = "transfer/voc/timm-resnet10t/seed0"


def test_a_world_is_counted_before_it_is_written_and_written_once(configs: Path) -> None:
    (configs / "transfer/voc.py").write_text(CONFIG.format(fields=WORLD))
    before = resolve(TIMM, dry_run=True)[KEY]
    assert not Path("data").exists()
    assert (before.digest, before.images, before.missing) == (None, 43, ())
    assert [use.world and use.missing is not None for use in before.data] == [True, True]
    after = resolve(TIMM)[KEY]
    assert after.images == 43
    assert [use.missing for use in after.data] == [None, None]
    assert after.digest is not None
    assert Plan("t", (after,)).reusable
    assert not Plan("t", (before,)).reusable


def test_another_world_in_its_folder_is_said_in_a_dry_run_too(configs: Path) -> None:
    (configs / "transfer/voc.py").write_text(CONFIG.format(fields=WORLD))
    replace(TINY, clutter=TINY.clutter + 1).ensure(TINY.default_root())
    assert "holds another synthetic world" in (resolve(TIMM, dry_run=True)[KEY].error or "")
    with pytest.raises(UserError, match="holds another synthetic world"):
        resolve(TIMM)


def test_digests_are_those_of_the_stages_own_command(configs: Path) -> None:
    (configs / "transfer/voc.py").write_text(CONFIG.format(fields=WORLD))
    cells = resolve(TIMM)
    config = load(configs / "transfer/voc.py")
    assert cells[KEY].digest == cell_digest(config, fingerprint(config), "timm:resnet10t")
    assert cells[KEY].digest != cells[KEY.replace("seed0", "seed7")].digest
    moved = Path("data/world_tiny").rename("elsewhere")
    assert resolve(TIMM, data_root=moved)[KEY].digest == cell_digest(config, fingerprint_at(moved), "timm:resnet10t")
    assert resolve(TIMM, data_root=moved)[KEY].command[-2:] == ("--data-root", "elsewhere")


def fingerprint_at(root: Path) -> str:
    return fingerprint(replace(load("configs/transfer/voc.py"), data_root=root))


def test_missing_data_and_a_missing_backbone_are_said_not_raised(configs: Path) -> None:
    (configs / "transfer/voc.py").write_text(CONFIG.format(fields=""))
    Path("there.safetensors").write_bytes(b"weights")
    rows = (Row("R", backbone="there.safetensors"), Row("S", backbone="not_there.safetensors"))
    cells = resolve(rows, dry_run=True)
    there, not_there = cells["transfer/voc/there.safetensors/seed0"], cells["transfer/voc/not_there.safetensors/seed0"]
    assert there.error is None
    assert there.digest is None
    assert [use.missing is not None for use in there.missing] == [True, True]
    assert there.images == 10 * 5011 + 4952  # as published for 2007
    assert "backbone not_there.safetensors: expected a run folder" in (not_there.error or "")


BOXES = """
from dataclasses import dataclass
from core.data.imagenet import ImageNet
from core.data.records import Need
from core.stage import Stage

@dataclass(frozen=True, kw_only=True)
class Task(Stage):
    boxes: bool
    def needs(self):
        return (Need(ImageNet(), "val", boxes=self.boxes),)
    def images(self, count):
        return count(self.needs()[0])

config = Task(boxes={boxes})
"""


def test_boxes_are_missing_data_of_the_cells_that_read_them_alone(configs: Path) -> None:
    base = imagenet(Path("data"), {"val": {"n1": 2}})
    for boxes in (True, False):
        (configs / "transfer/voc.py").write_text(BOXES.format(boxes=boxes))
        cell = resolve(TIMM, dry_run=True)[KEY]
        assert (cell.digest is None, [use.missing is not None for use in cell.missing]) == (boxes, [True] * boxes)
        assert str(base / "localization") in "".join(use.missing or "" for use in cell.data) or not boxes


def test_annotations_far_below_the_root_are_watched(configs: Path) -> None:
    base = voc(Path("data"), {"trainval": ["000001"], "test": ["000002"]})
    (configs / "transfer/voc.py").write_text(CONFIG.format(fields=""))
    table = Table("t", TIMM, (Column("VOC", ("transfer/voc",), "map"),))
    plan = Resolver(Source(Path("configs/tables/t.py")), table, dry_run=True).plan()
    atomic.write_json(plan_path("t", Path("runs")), plan.to_json("key"))
    source = Source(Path("configs/tables/t.py"))
    assert cached("t", source, "key") == plan
    listed = base / "ImageSets/Main/test.txt"
    listed.write_text(listed.read_text() + "\n")
    assert cached("t", source, "key") is None


def test_a_config_that_is_wrong_is_its_own_cells_error(configs: Path) -> None:
    (configs / "transfer/voc.py").write_text(CONFIG.format(fields="") + "\nconfig = 3\n")
    (cell, _) = resolve(TIMM, dry_run=True).values()
    assert cell.error == "transfer/voc: expected the config of a stage, it defines a int"
    (configs / "transfer/voc.py").unlink()
    (cell, _) = resolve(TIMM, dry_run=True).values()
    assert "no config" in (cell.error or "")


def test_the_worlds_counts_are_its_loaders_counts(configs: Path) -> None:
    TINY.ensure(Path("w"))
    needs = [
        *(Need(ImageNet(), split) for split in ("train", "val")),
        *(Need(CUB(), split) for split in ("train", "test")),
        *(Need(VOC(train=(("2007", "trainval"),)), split) for split in ("train", "test")),
        *(Need(CocoCaptions(), split) for split in ("train", "val")),
    ]
    for need in needs:
        assert len(need.data.records(Path("w"), need.split)) == TINY.images(need.data.name, need.split)


def test_a_plan_survives_its_file(configs: Path) -> None:
    (configs / "transfer/voc.py").write_text(CONFIG.format(fields=""))
    table = Table("t", TIMM, (Column("VOC", ("transfer/voc",), "map"),))
    plan = Resolver(Source(Path("configs/tables/t.py")), table, dry_run=True).plan()
    assert Plan.from_json(json.loads(json.dumps(plan.to_json("key")))) == plan
