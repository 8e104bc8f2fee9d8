"""Whole trainings with the detectron2 engine, where detectron2 is: killed and resumed, and in two processes.

Run as `test_detectron2_engine.py` says.
"""

import multiprocessing
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from core import checkpoint
from tests.core.ranks import in_ranks
from tests.transfer.detection_runs import RECIPE, TASKS, train, write_sets
from tests.transfer.test_detection_resume import at_call

pytest.importorskip("detectron2", reason="detectron2 is not importable; docs/detectron2.md says how to build it")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_sets(folder)
    return folder


@pytest.mark.parametrize("name", ["fpn", "c4"])
def test_a_killed_training_goes_on_to_the_same_bits(root: Path, tmp_path: Path, name: str) -> None:
    chance: dict[str, Any] = {"regions_per_image": 8, "anchors_per_image": 16, "freeze_at": 1, "norms_frozen": False}
    task = replace(TASKS[name], engine="detectron2", score_threshold=0.0, **chance)  # type: ignore[call-arg]
    whole = train(root, tmp_path / "whole", task)
    assert all(np.isfinite(whole.losses))
    assert whole.predictions
    assert whole.more["report"]["engine"].startswith("detectron2 ")

    def until_killed() -> None:
        killed = replace(task)
        object.__setattr__(killed, "loss", at_call(6, task.loss))
        train(root, tmp_path / "cut", killed, checkpoint_every=0.0)

    child = multiprocessing.get_context("fork").Process(target=until_killed)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    state = checkpoint.load(tmp_path / "cut")
    assert state is not None
    assert 0 < state["step"] < RECIPE.total_steps(12)
    rest = train(root, tmp_path / "cut", task)
    assert rest.losses == whole.losses[-len(rest.losses) :]
    assert len(rest.losses) < len(whole.losses)
    assert rest.predictions == whole.predictions
    assert all(torch.equal(rest.weights[key], tensor) for key, tensor in whole.weights.items())


def both_necks(fabric: Fabric, folder: Path) -> Any:
    """In every process: weights and losses of a training of each neck."""
    runs = {
        name: train(folder.parent, folder / name, replace(TASKS[name], engine="detectron2"), fabric=fabric)  # type: ignore[call-arg]
        for name in ("fpn", "c4")
    }
    return {name: [run.weights, run.losses] for name, run in runs.items()}


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    write_sets(tmp_path)
    two = in_ranks(both_necks, tmp_path / "two")
    one = both_necks(Fabric(accelerator="cpu", devices=1), tmp_path / "one")
    for name, (weights, losses) in one.items():
        (first, of_first), (second, of_second) = (rank[name] for rank in two)
        assert losses[-1] < losses[0]
        assert [(a + b) / 2 for a, b in zip(of_first, of_second, strict=True)] == pytest.approx(losses, rel=1e-5)
        for tensor, value in weights.items():
            assert torch.equal(first[tensor], second[tensor]), f"{name}: the processes differ in {tensor}"
            torch.testing.assert_close(first[tensor], value, atol=1e-5, rtol=0.0, msg=f"{name}: {tensor}")
