"""The transfer stage: refusals before any work, what it reports, and several processes as one job."""

import json
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from core.backbone import Backbone
from core.errors import UserError
from core.loader import Samples
from core.recipe import Recipe
from core.seeding import derive
from core.stage import Metric, Outcome
from tests.core.ranks import in_ranks
from tests.transfer.detection_runs import RECIPE, TASKS, TESTED, TRAINED, a_job, train, write_sets
from transfer.__main__ import main
from transfer.stage import Transfer, execute
from transfer.tasks.ssd import SSD

CONFIG = """
from dataclasses import replace
from tests.transfer.detection_runs import RECIPE, TASKS
from transfer.stage import Transfer
config = Transfer(task=TASKS["c4"], recipe=replace(RECIPE, steps=2), device="cpu", test_batch_size=2)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_sets(folder)
    return folder


class Numbers:
    """0, 1, 2, ..."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def sample(self, index: int) -> Tensor:
        return torch.tensor([float(index)])


@dataclass(frozen=True)
class Line(SSD):
    """Not a detector: fits a line to numbers, in the place of one, and says what is asked of a task."""

    unused: bool = False

    def check(self, root: Path) -> None:
        if (root / "leak").exists():
            raise UserError("the splits share images: 000001")

    def model(self, backbone: Backbone, root: Path) -> nn.Module:
        model = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1, momentum=None))
        if self.unused:
            model.register_parameter("forgotten", nn.Parameter(torch.zeros(1)))
        return model

    def report(
        self, model: nn.Module, backbone: Backbone, recipe: Recipe | None, ranks: int, samples: int
    ) -> dict[str, Any]:
        return {"batch": f"{recipe.batch_size if recipe else 0} by {ranks}", "samples": samples}

    def train_data(self, root: Path) -> Samples:  # type: ignore[override]  # no scenes
        return Numbers(10)

    def test_data(self, root: Path) -> Samples:  # type: ignore[override]
        return Numbers(5)

    def collate(self, samples: list[Any], memory: Any = None) -> Any:
        return torch.stack(samples)

    def loss(self, model: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        return (model(batch) - 2 * batch).square().mean() * 1e-3, {}

    def predict(self, model: nn.Module, batch: Any) -> list[Any]:
        return [[round(float(value), 4)] for value in model(batch)]

    def score(self, saved: Any, root: Path) -> Outcome:
        return Outcome({"sum": Metric(sum(saved), "", True)}, {"saved": len(saved)})

    def calibration(self) -> int:
        return 3

    def calibrate(self, model: nn.Module, batches: Iterator[Any]) -> None:
        norm = model.get_submodule("1")
        assert isinstance(norm, nn.BatchNorm1d)
        norm.reset_running_stats()
        model.train()
        assert not torch.is_grad_enabled()
        for batch in batches:
            model(batch)


def execute_line(root: Path, folder: Path, fabric: Fabric | None = None, **fields: Any) -> tuple[Outcome, Path]:
    config = Transfer(task=Line(**fields), recipe=replace(RECIPE, steps=3, batch_size=4), device="cpu")
    fabric = fabric or Fabric(accelerator="cpu", devices=1)
    torch.manual_seed(0)
    return execute(config, a_job(root, folder, config, fabric)), folder


def test_what_the_task_refuses_is_refused_before_anything_else(root: Path, tmp_path: Path) -> None:
    (tmp_path / "leak").touch()
    with pytest.raises(UserError, match="the splits share images: 000001"):  # not: there is no start.safetensors
        execute_line(tmp_path, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir() if path.name != ".lock"] == ["config.json"]


def test_report_and_speed_are_in_the_result_and_the_log(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        outcome, folder = execute_line(root, tmp_path / "run")
    rate = replace(RECIPE, steps=3, batch_size=4).rule(10)
    assert outcome.more["report"] == {"batch": "4 by 1", "samples": 10, "rate": rate}
    said = [record.getMessage() for record in caplog.records]
    assert {"batch: 4 by 1", "samples: 10", "Line: 10 images to train on"} < set(said)
    assert not [line for line in said if line.startswith("trained:")], "the task's to tell"
    assert [line for line in said if "learning rate" in line] == [f"{folder}: {rate}"], "once"
    speed = outcome.more["speed"]
    assert {name: speed[name]["images"] for name in speed} == {"train": 3 * 4, "test": 5}
    for numbers in speed.values():
        assert 0 < numbers["waiting"] < 1
        assert numbers["images_per_second"] == pytest.approx(numbers["images"] / numbers["seconds"], rel=0.02)
    assert list(outcome.metrics) == ["sum"]
    scored_again, _ = execute_again(root, folder)
    assert scored_again == outcome


def test_a_batch_larger_than_the_set_is_refused_before_the_report(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = Transfer(task=Line(), recipe=replace(RECIPE, batch_size=11), device="cpu")
    job = a_job(root, tmp_path / "run", config, Fabric(accelerator="cpu", devices=1))
    with caplog.at_level(logging.INFO), pytest.raises(UserError, match="10 samples, fewer than one batch of 11"):
        execute(config, job)
    assert not [r for r in caplog.records if r.getMessage().startswith(("batch:", "samples:"))]


def execute_again(root: Path, folder: Path) -> tuple[Outcome, Path]:
    """With predictions there, and a report of how they came to be."""
    (folder / ".lock").unlink()
    (folder / "checkpoint.pt").unlink()
    return execute_line(root, folder)


def test_statistics_are_taken_from_an_epoch_after_the_last(root: Path, tmp_path: Path) -> None:
    """3 batches of 4 from 10 samples: two of the epoch after the two that were begun, one of the next."""
    seen: list[list[float]] = []

    class Noting(Line):
        def calibrate(self, model: nn.Module, batches: Iterator[Any]) -> None:
            seen.extend(batch.flatten().tolist() for batch in batches)

    config = Transfer(task=Noting(), recipe=replace(RECIPE, steps=3, batch_size=4), device="cpu")
    execute(config, a_job(root, tmp_path / "run", config, Fabric(accelerator="cpu", devices=1)))
    expected = []
    for epoch, taken in ((2, 8), (3, 4)):
        generator = torch.Generator().manual_seed(derive(0, "order", epoch))
        expected += torch.randperm(10, generator=generator)[:taken].tolist()
    assert [number for batch in seen for number in batch] == expected
    assert [len(batch) for batch in seen] == [4, 4, 4]


def lines(fabric: Fabric, folder: Path) -> Any:
    """In every process: what an unused parameter is told, the outcome, what lies in the folder."""
    root = folder.parent
    with pytest.raises(UserError, match=r"1 of 5 parameters .* have no part in the loss \(forgotten\)"):
        execute_line(root, folder / "unused", fabric, unused=True)
    (root / "leak").touch()
    with pytest.raises(UserError, match="share images"):
        execute_line(root, folder / "leak", fabric)
    fabric.barrier()
    (root / "leak").unlink(missing_ok=True)
    fabric.barrier()
    outcome, _ = execute_line(root, folder / "run", fabric)
    fabric.barrier()
    return {"metrics": list(outcome.metrics), "files": sorted(path.name for path in (folder / "run").iterdir())}


def test_the_first_process_alone_writes_and_speaks(root: Path, tmp_path: Path) -> None:
    (tmp_path / "start.safetensors").write_bytes((root / "start.safetensors").read_bytes())
    first, second = in_ranks(lines, tmp_path / "two")
    assert (first["metrics"], second["metrics"]) == (["sum"], [])
    assert set(first["files"]) >= {"predictions.json", "report.json", "checkpoint.pt"}
    report = json.loads((tmp_path / "two/run/report.json").read_text())
    assert report["report"].items() >= {"batch": "4 by 2", "samples": 10}.items()
    assert report["speed"]["train"]["images"] == 12
    assert len(json.loads((tmp_path / "two/run/predictions.json").read_text())) == 5


def detectors(fabric: Fabric, folder: Path) -> Any:
    root = folder.parent
    runs = {name: train(root, folder / name, task, RECIPE, fabric) for name, task in TASKS.items()}
    return {name: [run.weights, run.losses] for name, run in runs.items()}


def test_two_processes_train_detectors_as_one_does(root: Path, tmp_path: Path) -> None:
    """Frozen norms and a frozen stem; losses, weights and boxes."""
    write_sets(tmp_path)
    two = in_ranks(detectors, tmp_path / "two")
    for name, task in TASKS.items():
        one = train(tmp_path, tmp_path / f"one_{name}", task)
        (weights, losses), (weights_too, losses_too) = (rank[name] for rank in two)
        assert one.losses[-1] < one.losses[0]
        means = [(a + b) / 2 for a, b in zip(losses, losses_too, strict=True)]
        assert means == pytest.approx(one.losses, rel=1e-5), name
        for tensor, value in one.weights.items():
            assert torch.equal(weights[tensor], weights_too[tensor]), f"{name}: the processes differ in {tensor}"
            torch.testing.assert_close(weights[tensor], value, atol=1e-5, rtol=0.0, msg=f"{name}: {tensor}")
        found = json.loads((tmp_path / f"two/{name}/predictions.json").read_text())
        assert [entry["image_id"] for entry in found] == [entry["image_id"] for entry in one.predictions]
        for entry, expected in zip(found, one.predictions, strict=True):
            assert entry["bbox"] == pytest.approx(expected["bbox"], abs=0.02)
            assert entry["score"] == pytest.approx(expected["score"], abs=2e-5)


def uneven(fabric: Fabric, folder: Path) -> Any:
    """Norms that learn; half of the images have no objects, and some steps none in one of the processes."""
    root = folder.parent
    runs = {}
    for name, task in TASKS.items():
        task = replace(task, norms_frozen=False, freeze_at=0)
        runs[name] = train(root, folder / name, task, replace(RECIPE, batch_size=2), fabric)
    refused = ""
    try:
        train(root, folder / "sync", TASKS["c4"], replace(RECIPE, sync_batchnorm=True), fabric)
    except UserError as error:
        refused = str(error)
    return {"weights": {name: run.weights for name, run in runs.items()}, "refused": refused}


def test_an_image_without_objects_in_one_process_keeps_nobody_waiting(tmp_path: Path) -> None:
    write_sets(tmp_path)
    for i in range(1, TRAINED, 2):
        xml = tmp_path / f"VOCdevkit/VOC2007/Annotations/{i:06}.xml"
        text = xml.read_text()
        xml.write_text(text[: text.index("<object>")] + "</annotation>")
    first, second = in_ranks(uneven, tmp_path / "two")
    assert first["refused"] == second["refused"]
    assert "sync_batchnorm needs GPUs; this runs on cpu" in first["refused"]
    for name, weights in first["weights"].items():
        for tensor, value in weights.items():
            assert value.isfinite().all(), f"{name}: {tensor}"


def commands(argv: list[str], ranks: int = 2) -> list[int]:
    """`python -m transfer ARGS` in forked processes that have torchrun's variables; their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    children = []
    for rank in range(ranks):
        if (child := os.fork()) == 0:
            here = {**common, "RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "TORCHELASTIC_RUN_ID": "test"}
            os.environ.update({name: str(value) for name, value in here.items()})
            os._exit(main(argv))
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def test_the_command_runs_under_torchrun(root: Path, tmp_path: Path) -> None:
    config = tmp_path / "tiny_c4.py"
    config.write_text(CONFIG)
    given = [str(config), "--data-root", str(root), "--backbone", str(root / "start.safetensors")]
    assert commands([*given, "--run", str(tmp_path / "two")]) == [0, 0]
    assert main([*given, "--run", str(tmp_path / "one")]) == 0
    two, one = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("two", "one"))
    assert (two["processes"], one["processes"]) == (2, 1)
    assert two["digest"] == one["digest"]
    assert two["metrics"] == one["metrics"]
    assert two["more"]["speed"]["test"]["images"] == TESTED
    assert not (tmp_path / "two/checkpoint.pt").exists()
