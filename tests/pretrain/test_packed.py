"""Shards instead of files: where packing lost nothing the same cell and bits; refused where they do not fit."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core import backbone, provenance
from core.config import digest, plain
from core.data.packed import Packed, Preparation
from core.data.prepare.__main__ import main as prepare
from core.data.records import DataError, Need
from core.errors import UserError
from core.stage import cell_digest, fingerprint
from eval.table import Column, Row, Table
from launch.plan import Source
from launch.resolve import Resolver
from pretrain.__main__ import main
from pretrain.stage import Pretrain
from pretrain.training import execute
from tests.data import layouts
from tests.pretrain.tiny import CONFIG, images, job_of
from tests.pretrain.tiny import config as tiny


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The data root; its images are packed as they are below `packed`, and made smaller below `small`."""
    images(tmp_path)
    path = str(layouts.write(tmp_path / "tiny.py", CONFIG))
    assert prepare([path, "--data-root", str(tmp_path), "--out", str(tmp_path / "packed"), "--jobs", "1"]) == 0
    smaller = ["--out", str(tmp_path / "small"), "--jobs", "1", "--short-side", "24", "--quality", "80"]
    assert prepare([path, "--data-root", str(tmp_path), *smaller]) == 0
    return tmp_path


def identity(root: Path, config: Pretrain) -> str:
    here = replace(config, data_root=root)
    return cell_digest(here, fingerprint(here), None)


def test_shards_without_loss_are_the_same_cell_with_the_same_bits(root: Path) -> None:
    plain_config, packed = tiny(), tiny(packed=root / "packed")
    assert identity(root, plain_config) == identity(root, packed)
    first = execute(plain_config, job_of(root, plain_config, "plain"))
    used = provenance.data_used(plain_config.needs(), root)
    shutil.move(root / "imagenet", root / "elsewhere")
    assert execute(packed, job_of(root, packed, "from_shards")) == first
    weights = [backbone.load(root / name).model.state_dict() for name in ("plain", "from_shards")]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
    assert (root / "plain/logits.npy").read_bytes() == (root / "from_shards/logits.npy").read_bytes()
    assert provenance.data_used(packed.needs(), root) == used
    assert packed.needs() == tuple(Need(Packed(packed.data, root / "packed"), split) for split in ("train", "val"))


def test_smaller_images_are_another_cell(root: Path) -> None:
    smaller = tiny(packed=root / "small", preparation=Preparation(24, 80))
    assert identity(root, smaller) != identity(root, tiny())
    assert digest(plain(smaller, hashed_only=True)) != digest(plain(tiny(), hashed_only=True))
    assert execute(smaller, job_of(root, smaller)).more["steps"] == 9


def test_shards_that_were_made_otherwise_are_refused(root: Path) -> None:
    for folder, preparation in (("small", None), ("packed", Preparation(24, 80)), ("small", Preparation(24, 90))):
        config = tiny(packed=root / folder, preparation=preparation)
        with pytest.raises(DataError, match="of another data set or preparation"):
            fingerprint(replace(config, data_root=root))


def test_a_config_that_names_the_preparation_takes_the_folder_from_the_command(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What `prepare` says at its end, word for word; the run is that of a config that names both."""
    text = CONFIG.replace("mixing=CutMix()", "mixing=CutMix(), preparation=Preparation(24, 80)")
    path = layouts.write(root / "small.py", "from core.data.packed import Preparation\n" + text)
    args = [str(path), "--data-root", str(root), "--run", str(root / "run")]
    assert main(args) == 2
    assert "preparation: expected packed too (--packed FOLDER)" in capfd.readouterr().err
    assert not (root / "run/result.json").exists()
    assert main([*args, "--packed", str(root / "small")]) == 0
    both = text.replace("80)", f"80), packed=Path({str(root / 'small')!r})")
    assert both != text
    layouts.write(path, "from pathlib import Path\nfrom core.data.packed import Preparation\n" + both)
    capfd.readouterr()
    assert main(args) == 0
    assert "done already" in capfd.readouterr().out
    with pytest.raises(UserError, match="short side 24 and quality 80"):
        tiny(preparation=Preparation(24, 80)).needs()


def test_the_command_reads_shards_and_knows_the_run_that_files_made(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    args = [str(root / "tiny.py"), "--data-root", str(root), "--run", str(root / "run")]
    assert main(args) == 0
    shutil.rmtree(root / "imagenet")
    assert main([*args, "--packed", str(root / "packed")]) == 0
    assert "done already" in capfd.readouterr().out
    assert main([*args, "--packed", str(root / "absent")]) == 2
    assert "core.data.prepare makes it" in capfd.readouterr().err


def test_a_launch_plans_a_cell_from_shards(root: Path) -> None:
    """The plan's digest is the command's; the data counts as there though the files are gone."""
    text = CONFIG.replace("mixing=CutMix()", f"mixing=CutMix(), packed=Path({str(root / 'packed')!r})")
    layouts.write(root / "configs/pretrain/shards.py", "from pathlib import Path\n" + text)
    table = layouts.write(root / "configs/tables/one.py", "")
    shutil.rmtree(root / "imagenet")
    row = Row("r", pretrain="pretrain/shards")
    source = Source(table, root / "runs", root)
    plan = Resolver(source, Table("one", (row,), (Column("c", ("transfer/none",), "top1_error"),), (0,))).plan()
    cell = next(cell for cell in plan.cells if cell.stage == "pretrain")
    assert (cell.error, cell.missing) == (None, ())
    assert [(use.split, use.images) for use in cell.data] == [("train", 12), ("val", 6)]
    assert main([str(root / "configs/pretrain/shards.py"), "--data-root", str(root), "--run", str(root / "run")]) == 0
    assert json.loads((root / "run/result.json").read_text())["digest"] == cell.digest
