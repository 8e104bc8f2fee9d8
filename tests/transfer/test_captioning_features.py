"""Features on disk: computed once, the encoder's own, mended where they are damaged, refused where they are others'."""

import dataclasses
import errno
import json
import multiprocessing
import os
import shutil
import signal
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from PIL import Image

from core import loop
from core.backbone import Backbone
from core.cell import Cell
from core.data.coco import CocoCaptions
from core.data.records import DataError
from core.errors import UserError
from core.lock import NAME as LOCK
from core.lock import Lock
from core.recipe import AdamW, Recipe
from core.stage import Job
from tests.core.ranks import in_ranks
from tests.transfer.captioning_runs import TASK, TRAINED, a_job, start, write_sets
from transfer.stage import Transfer
from transfer.tasks.captioning import features as module
from transfer.tasks.captioning import stored
from transfer.tasks.captioning.attention import Attention
from transfer.tasks.captioning.features import ABOUT, features
from transfer.tasks.captioning.model import Captioner
from transfer.tasks.captioning.stored import CHECKSUMS, VALUES, Features, Stored
from transfer.tasks.captioning.task import Captioning
from transfer.tasks.captioning.views import View

VIEW = View(36, 32)
RECORDS = CocoCaptions()


@pytest.fixture(autouse=True)
def chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three chunks, the last one short."""
    monkeypatch.setattr(module, "CHUNK", 4)
    monkeypatch.setattr(stored, "CHUNK", 4)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_sets(tmp_path)
    return tmp_path


def captioner(root: Path, net: Backbone | None = None, **changes: Any) -> Captioner:
    model = Captioning(**{**TASK, **changes}).model(net or start(), root)
    assert isinstance(model, Captioner)
    return model


def job(root: Path, name: str = "run", fabric: Fabric | None = None, **config: Any) -> Job:
    recipe = Recipe(epochs=1, batch_size=2, optimizer=AdamW(lr=1e-3))
    return a_job(root, root / name, Transfer(task=Captioning(**TASK), recipe=recipe, device="cpu", **config), fabric)


def found(root: Path, model: Captioner | None = None, view: View = VIEW, name: str = "run", **config: Any) -> Features:
    made = features(RECORDS.records(root, "train"), view, model or captioner(root), job(root, name, **config), None)
    (root / name / LOCK).unlink(missing_ok=True)
    return made


def folder(root: Path) -> Path:
    (one,) = (root / "runs/features").iterdir()
    return one


def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The chunks that are computed from now on."""
    chunks, inner = [], Stored.write

    def write(self: Stored, chunk: int, values: Features) -> None:
        chunks.append(chunk)
        inner(self, chunk, values)

    monkeypatch.setattr(Stored, "write", write)
    return chunks


@pytest.mark.parametrize("workers", [0, 2])
def test_they_are_the_encoders_of_every_image_in_order(workers: int, root: Path) -> None:
    model = captioner(root)
    made = found(root, model, workers=workers)
    assert isinstance(made.base, np.memmap)
    assert made.shape == (TRAINED, 16)
    with torch.no_grad():
        own = torch.cat([model.encode(VIEW(record.path)[None]) for record in RECORDS.records(root, "train")])
    np.testing.assert_allclose(made, own.numpy(), rtol=2**-11, atol=1e-6)  # half a step of float16
    assert np.array_equal(np.load(folder(root) / VALUES), made)  # any program can read them


def test_a_spatial_decoder_gets_the_map_whose_mean_the_others_get(root: Path) -> None:
    places = found(root, captioner(root, decoder=Attention(embed=8, hidden=8, attention=8)), View(72, 64))
    assert places.shape == (TRAINED, 4, 16)
    np.testing.assert_allclose(places.astype(float).mean(1), found(root, None, View(72, 64), "other"), rtol=2e-3)


def test_the_second_run_computes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = found(root)
    chunks = written(monkeypatch)
    assert np.array_equal(found(root, name="other"), first)
    assert chunks == []


def test_they_lie_in_the_folder_of_all_runs_or_where_the_task_says(root: Path) -> None:
    model, records, one = captioner(root), RECORDS.records(root, "train"), job(root)
    features(records, VIEW, model, one, root / "elsewhere")
    assert len(list((root / "elsewhere").iterdir())) == 1
    features(records, VIEW, model, dataclasses.replace(one, shared=None), None)
    assert len(list((root / "features").iterdir())) == 1  # beside a run with a folder of its own
    assert not (root / "runs").exists()


def test_a_cell_names_the_folder_of_all_runs_unless_it_has_one_of_its_own() -> None:
    config = Transfer(task=Captioning(**TASK), recipe=None)
    assert Cell("transfer", "x", config, runs=Path("all")).shared == Path("all")
    assert Cell("transfer", "x", config, given_folder=Path("own"), runs=Path("all")).shared is None
    launched = Path("all/transfer/x/row/seed0")  # as a table's cell is started
    assert Cell("transfer", "x", config, given_folder=launched).shared == Path("all")


def _another_weight(net: Backbone) -> None:
    with torch.no_grad():
        net.model.get_parameter("layer4.0.conv1.weight")[0, 0, 0, 0] += 1e-6


def _another_mean(net: Backbone) -> None:
    net.spec = dataclasses.replace(net.spec, mean=(0.5, 0.5, 0.5))


def _another_statistic(net: Backbone) -> None:
    net.model.get_buffer("bn1.running_mean")[0] += 1e-6


@pytest.mark.parametrize("change", [_another_weight, _another_mean, _another_statistic])
def test_another_backbone_has_features_of_its_own(change: Any, root: Path) -> None:
    found(root)
    net = start()
    change(net)
    found(root, captioner(root, net), name="other")
    assert len(list((root / "runs/features").iterdir())) == 2


def test_so_have_another_view_another_precision_and_other_images(root: Path) -> None:
    found(root)
    found(root, view=View(40, 32), name="view")
    found(root, view=View(36, 32, keep_aspect=True), name="aspect")
    found(root, name="precision", precision="bf16-mixed")
    Image.new("RGB", (40, 30)).save(root / "coco/train2017/1.jpg")
    found(root, name="images")
    assert len(list((root / "runs/features").iterdir())) == 5


def test_other_captions_and_the_head_of_the_backbone_change_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(root)
    path = root / "coco/annotations/captions_train2017.json"
    path.write_text(path.read_text().replace("dog", "cow"))
    net, chunks = start(), written(monkeypatch)
    torch.nn.init.zeros_(net.model.get_parameter("fc.weight"))
    found(root, captioner(root, net), name="other")
    assert chunks == []


def test_a_file_that_was_cut_off_is_computed_anew(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = found(root).copy()
    path = folder(root) / VALUES
    os.truncate(path, path.stat().st_size - 10)
    chunks = written(monkeypatch)
    assert np.array_equal(found(root, name="other"), first)
    assert chunks == [0, 1, 2]
    assert caplog.text.count(f"{path}: cut off or changed since it was written: 3 of 3 chunks") == 1


@pytest.mark.parametrize("name", [VALUES, CHECKSUMS])
def test_bytes_that_changed_are_found_and_their_chunk_alone_is_computed_anew(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = found(root).copy()
    path = folder(root) / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # of the last chunk
    path.write_bytes(data)
    chunks = written(monkeypatch)
    assert np.array_equal(found(root, name="other"), first)
    assert chunks == [2]
    assert caplog.text.count("1 of 3 chunks do not agree") == 1


@pytest.mark.parametrize("name", [VALUES, CHECKSUMS, ABOUT])
def test_a_file_that_is_gone_or_no_such_file_is_made_anew(name: str, root: Path) -> None:
    first = found(root).copy()
    (folder(root) / name).unlink()
    assert np.array_equal(found(root, name="second"), first)
    (folder(root) / name).write_text("{")
    assert np.array_equal(found(root, name="third"), first)
    assert json.loads((folder(root) / ABOUT).read_text())["shape"] == [TRAINED, 16]


def test_a_folder_that_holds_another_backbones_features_is_refused(root: Path) -> None:
    found(root)
    theirs, net = folder(root), start()
    _another_weight(net)
    model = captioner(root, net)
    found(root, model, name="other")
    (mine,) = (path for path in (root / "runs/features").iterdir() if path != theirs)
    shutil.rmtree(mine)
    theirs.rename(mine)
    with pytest.raises(UserError, match=r"of something else .*encoder: .* there, .* here.*Remove"):
        found(root, model, name="third")


def test_too_little_room_is_told_before_the_work(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1000, 900, 100))
    with pytest.raises(UserError, match=r"9 images, 16 float16 each: expected 0.00 MB of room.*--task.features FOLDER"):
        found(root)
    monkeypatch.undo()
    assert len(found(root, name="other")) == TRAINED  # and no lock was left


def test_a_disk_that_is_full_or_read_only_is_told_with_the_remedy_and_what_is_done_is_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, full = Stored.write, OSError(errno.ENOSPC, "No space left on device")

    def write(self: Stored, chunk: int, values: Features) -> None:
        if chunk == 1:
            raise full
        inner(self, chunk, values)

    monkeypatch.setattr(Stored, "write", write)
    with pytest.raises(UserError, match=r"No space left on device.*--task.features FOLDER"):
        found(root)
    monkeypatch.setattr(Stored, "write", inner)
    chunks = written(monkeypatch)
    found(root, name="other")
    assert chunks == [1, 2]

    def refuse(folder: Path) -> Lock:
        raise OSError(errno.EROFS, "Read-only file system", str(folder))

    monkeypatch.setattr(module, "Lock", refuse)
    found(root, name="whole")  # needs nothing written
    with pytest.raises(UserError, match=r"Read-only file system.*--task.features FOLDER"):
        found(root, view=View(40, 32), name="view")


def test_an_image_that_cannot_be_read_is_named_and_what_is_done_is_kept(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = root / "coco/train2017/9.jpg"  # the last chunk's
    whole = path.read_bytes()
    path.write_bytes(bytes(len(whole)))
    with pytest.raises(DataError, match=r"9\.jpg: not an image"):
        found(root)
    path.write_bytes(whole)
    chunks = written(monkeypatch)
    found(root, name="other")
    assert chunks == [2]


def test_features_that_are_no_numbers_are_refused(root: Path) -> None:
    net = start()
    torch.nn.init.constant_(net.model.get_parameter("layer4.0.bn2.bias"), 1e6)  # beyond float16
    with pytest.raises(UserError, match=r"1.jpg: the encoder's features are not finite numbers in float16"):
        found(root, captioner(root, net))


def killed_at(root: Path, model: Captioner, chunk: int, after: bool) -> None:
    inner = Stored.write

    def write(self: Stored, number: int, values: Features) -> None:
        if number == chunk and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        inner(self, number, values)
        if number == chunk:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(Stored, "write", write)  # noqa: B010 - in a process of its own
    torch.set_num_threads(1)
    found(root, model)


@pytest.mark.parametrize(("after", "left"), [(False, [1, 2]), (True, [2])])
def test_a_killed_computation_goes_on_where_it_was(
    after: bool, left: list[int], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = captioner(root)
    process = multiprocessing.get_context("fork").Process(target=killed_at, args=(root, model, 1, after))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert not (folder(root) / ABOUT).exists()
    chunks = written(monkeypatch)
    again = found(root, model, name="other")
    assert chunks == left
    shutil.rmtree(root / "runs")
    assert np.array_equal(found(root, model, name="third"), again)


def waits_for(path: Path, root: Path, model: Captioner) -> None:
    """A process that finds its features finished by another."""
    torch.set_num_threads(1)
    loop.predict = None  # type: ignore[assignment]  # it computes none
    np.save(path, found(root, model, name="waiting"))


def test_a_second_process_waits_for_the_first_and_computes_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model, inner = captioner(root), Stored.write
    other = multiprocessing.get_context("fork").Process(target=waits_for, args=(tmp_path / "seen.npy", root, model))

    def write(self: Stored, chunk: int, values: Features) -> None:
        if chunk == 0:
            other.start()
            other.join(1.0)
            assert other.is_alive()  # it waits
        inner(self, chunk, values)

    monkeypatch.setattr(Stored, "write", write)
    monkeypatch.setattr(module, "_LOOK", 0.02)
    made = found(root, model)
    other.join(30)
    assert other.exitcode == 0
    assert np.array_equal(np.load(tmp_path / "seen.npy"), made)


def shared(fabric: Fabric, where: Path) -> Any:
    model = captioner(where.parent)
    one = job(where.parent, f"two{fabric.global_rank}", fabric)
    chunks, inner = [], Stored.write

    def write(self: Stored, chunk: int, values: Features) -> None:
        chunks.append(chunk)
        inner(self, chunk, values)

    setattr(Stored, "write", write)  # noqa: B010 - in a process of its own
    made = features(RECORDS.records(where.parent, "train"), VIEW, model, one, None)
    return [chunks, torch.from_numpy(made.astype(np.float32))]


def test_two_processes_of_a_job_share_the_chunks(root: Path) -> None:
    one, two = in_ranks(shared, root / "two")
    assert [one[0], two[0]] == [[0, 2], [1]]
    shutil.rmtree(root / "runs")
    alone = torch.from_numpy(found(root).astype(np.float32))
    assert torch.equal(one[1], alone)
    assert torch.equal(two[1], alone)
