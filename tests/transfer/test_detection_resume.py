"""Detectors killed with SIGKILL at random moments go on to the bits of a run that was never killed."""

import gc
import json
import multiprocessing
import os
import random
import signal
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric

from core import atomic
from core.recipe import AdamW, Recipe
from tests.core.ranks import in_ranks
from tests.transfer.detection_runs import RECIPE, TASKS, TRAINED, Trained, left, train, write_sets
from transfer.stage import PREDICTIONS
from transfer.tasks.detection.augmentation import SSDAugmentation
from transfer.tasks.detection.task import Detection

BY_CHANCE: dict[str, Any] = {"regions_per_image": 8, "anchors_per_image": 16, "freeze_at": 1, "norms_frozen": False}
OF_SIZES: dict[str, Any] = {"train_shorts": (40, 48, 56), "group_by_aspect": True}
RUNS: dict[str, tuple[Detection, Recipe, dict[str, Any]]] = {
    "ssd, averaged, short last batches, workers": (
        replace(TASKS["ssd"], norms_frozen=False, augmentation=SSDAugmentation()),  # type: ignore[call-arg]  # an SSD
        replace(RECIPE, ema_decay=0.8, drop_last=False, batch_size=5),
        {"workers": 2},
    ),
    "fpn, micro-batches, clipped": (
        replace(TASKS["fpn"], **BY_CHANCE),
        Recipe(optimizer=AdamW(lr=1e-3), batch_size=4, epochs=3, accumulate=2, clip_norm=1.0, warmup_steps=3),
        {},
    ),
    "c4, bfloat16, sizes and shapes, precise norms": (
        replace(TASKS["c4"], **BY_CHANCE, **OF_SIZES, precise_bn=2),
        replace(RECIPE, clip_value=0.5),
        {"precision": "bf16-mixed"},
    ),
}
LOSSES = "losses.txt"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_sets(folder, ((64, 48), (48, 64), (64, 64)))
    return folder


def at_call(number: int, inner: Callable[..., Any], of: Callable[..., bool] = lambda *_, **__: True) -> Any:
    """`inner`, killed instead of its call `number` (from 1) of those that `of` says yes to."""
    left = number

    def called(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        left -= of(*args, **kwargs)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(*args, **kwargs)

    return called


def half_written(number: int) -> Any:
    """torch.save that is killed within the file it writes, the `number`-th."""
    inner, count = torch.save, 0

    def save(state: Any, file: Any) -> None:
        nonlocal count
        count += 1
        if count == number:
            file.write(bytes(5000))
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        inner(state, file)

    return save


def child(root: Path, folder: Path, run: str, moment: str, number: int) -> None:
    """A process that trains, notes its losses, and is killed at a moment of its life."""
    task, recipe, config = RUNS[run]
    inner = (task := copy(task)).loss

    def noting(*args: Any) -> Any:
        value, parts = inner(*args)
        with (folder.parent / LOSSES).open("a") as file:
            file.write(f"{float(value.detach())!r}\n")
        return value, parts

    object.__setattr__(task, "loss", noting)
    if moment in ("loss", "predict", "score"):
        object.__setattr__(task, moment, at_call(number, getattr(task, moment)))
    if moment == "checkpoint":
        torch.save = half_written(number)
    if moment == "predictions":
        atomic.write_json = at_call(number, atomic.write_json, lambda path, *_, **__: path.name == PREDICTIONS)
    train(root, folder, task, recipe, checkpoint_every=0.0, **config)


@pytest.mark.parametrize("run", RUNS)
def test_a_detector_killed_at_random_moments_ends_with_the_same_bits(run: str, root: Path, tmp_path: Path) -> None:
    task, recipe, config = RUNS[run]
    straight = train(root, tmp_path / "straight", task, recipe, **config)
    folder, fork, dice = tmp_path / "killed/run", multiprocessing.get_context("fork"), random.Random(run)
    folder.parent.mkdir()
    calls = recipe.accumulate
    trained = recipe.total_steps(TRAINED) * calls
    moments = [
        ("loss", dice.randrange(2, 3 * calls)), ("checkpoint", dice.randrange(1, 3)), ("loss", dice.randrange(2, 4)),
        ("predict", dice.randrange(1, 4)), ("predictions", 1), ("score", 1),
    ]  # fmt: skip
    losses: list[float] = []
    for moment, number in [*moments, ("none", 0)]:
        (folder.parent / LOSSES).write_text("")
        process = fork.Process(target=child, args=(root, folder, run, moment, number))
        process.start()
        process.join()  # with a timeout it would wait for the orphaned workers too
        assert process.exitcode == (0 if moment == "none" else -signal.SIGKILL), (moment, number)
        again = [float(line) for line in (folder.parent / LOSSES).read_text().splitlines()]
        if again:
            begun = straight.losses.index(again[0])
            assert begun <= len(losses), "nothing is left out"
            losses[begun:] = again
            # What comes after the last step are the losses of the images that precise norms are taken from.
            assert begun >= trained or moment not in ("predictions", "score", "none"), "the training was over"
    assert losses == straight.losses
    same(left(folder), straight)


def same(a: Trained, b: Trained) -> None:
    assert a.weights.keys() == b.weights.keys()
    assert all(torch.equal(a.weights[name], b.weights[name]) for name in a.weights)
    assert a.predictions == b.predictions
    assert json.dumps(a.log) == json.dumps(b.log)


@pytest.mark.parametrize("kind", TASKS)
def test_workers_change_no_bit(kind: str, root: Path, tmp_path: Path) -> None:
    task = TASKS[kind]
    runs = [train(root, tmp_path / str(workers), task, replace(RECIPE, steps=4), workers=workers) for workers in (0, 2)]
    same(*runs)


def stopped(fabric: Fabric, folder: Path) -> Any:
    """The second of two processes is told to stop in mid-epoch; both go on after."""
    root, (task, recipe, _) = folder.parent, RUNS["fpn, micro-batches, clipped"]
    straight = train(root, folder / "straight", task, recipe, fabric)
    told, calls, inner = copy(task), 0, task.loss

    def loss(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 5 * recipe.accumulate and fabric.global_rank == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return inner(*args)

    object.__setattr__(told, "loss", loss)
    with pytest.raises(KeyboardInterrupt):
        train(root, folder / "stopped", told, recipe, fabric)
    fabric.barrier()
    (folder / "stopped/.lock").unlink(missing_ok=True)
    gc.collect()
    fabric.barrier()
    again = train(root, folder / "stopped", task, recipe, fabric)
    same(again, straight)
    return [calls, again.losses == straight.losses[-len(again.losses) :], len(again.losses)]


def test_a_detector_in_two_processes_that_was_stopped_ends_with_the_same_bits(tmp_path: Path) -> None:
    write_sets(tmp_path)
    assert in_ranks(stopped, tmp_path / "two") == [[10, True, 8], [10, True, 8]]
