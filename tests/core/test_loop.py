"""The loop: learning rates as functions of the step, NaN, resume with the same bits, workers that change nothing."""

import json
import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import Tensor, nn
from torch.utils.data import default_collate

from core import atomic, checkpoint, loop
from core.errors import UserError
from core.recipe import SGD, Recipe
from tests.core import killed
from tests.core.networks import RECIPE, Points, job, network, squared


def score(epoch: int, _: nn.Module) -> dict[str, float]:
    return {"score": float(epoch)}


def fit(
    folder: Path,
    model: nn.Module,
    recipe: Recipe = RECIPE,
    loss: loop.Loss = squared,
    after_epoch: loop.AfterEpoch = score,
    **config: Any,
) -> loop.Fitted:
    groups = [{"params": list(model.parameters())}]
    return loop.fit(
        job(folder, **config),
        model,
        samples=Points(),
        collate=default_collate,
        loss=loss,
        recipe=recipe,
        parameters=groups,
        after_epoch=after_epoch,
    )


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_training_learns_and_keeps_a_history(tmp_path: Path) -> None:
    @torch.no_grad()
    def error(model: nn.Module) -> float:
        return float(((model.eval()(Points().x) - Points().y) ** 2).mean())

    model = network()
    fitted = fit(tmp_path / "run", model)
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert fitted.steps == 20 * (32 // 5)
    assert [h["score"] for h in fitted.history] == [float(e) for e in range(1, 21)]
    assert [line["step"] for line in lines if "loss" in line] == [50, 100, 120]
    assert error(model) < 0.5 * error(network())


def test_workers_change_no_bit(tmp_path: Path) -> None:
    a, b = network(), network()
    fit(tmp_path / "a", a, Recipe(optimizer=SGD(lr=0.05), batch_size=5, epochs=2))
    fit(tmp_path / "b", b, Recipe(optimizer=SGD(lr=0.05), batch_size=5, epochs=2), workers=2)
    assert same(a.state_dict(), b.state_dict())


@pytest.mark.parametrize("name", killed.RECIPES)
def test_a_run_killed_at_ten_random_moments_ends_with_the_same_bits(tmp_path: Path, name: str) -> None:
    """SIGKILL, in processes forked from this one; most come within an epoch, some while a checkpoint is made."""
    recipe, folder, dice = killed.RECIPES[name], tmp_path / "killed", random.Random(5)
    straight = killed.train(tmp_path / "straight", recipe)
    fork, steps = multiprocessing.get_context("fork"), []
    for kill in range(10):
        began = fork.Event()
        process = fork.Process(target=killed.train, args=(folder, recipe, 0.03, 0.01, began))
        process.start()
        if kill % 5 or began.wait(0.03):  # two kills may come before the first step
            assert began.wait(20)
        time.sleep(dice.uniform(0.0, 0.12))
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "the training was too short to be killed ten times"
        state = checkpoint.load(folder)
        steps.append(0 if state is None else state["step"])
    assert steps == sorted(steps)
    assert any(0 < step < straight.steps and step % recipe.steps_per_epoch(32) for step in steps), "never in mid-epoch"
    process = fork.Process(target=killed.train, args=(folder, recipe))
    process.start()
    process.join()
    expected, found = (torch.load(f / "weights.pt", weights_only=True) for f in (tmp_path / "straight", folder))
    assert same(found, expected)
    state = checkpoint.load(folder)
    assert state is not None
    assert (state["step"], state["history"]) == (straight.steps, straight.history)
    log, straight_log = ((f / "metrics.jsonl").read_text() for f in (folder, tmp_path / "straight"))
    assert log == straight_log


@pytest.mark.parametrize(("length", "steps"), [({"epochs": 3.0}, 18), ({"steps": 15}, 15)])
@pytest.mark.parametrize("by_signal", [False, True])
def test_a_kill_in_the_last_validation_repeats_no_step_and_loses_no_validation(
    tmp_path: Path, length: dict[str, Any], steps: int, by_signal: bool
) -> None:
    """In a whole last epoch, and in one that is cut short (15 = 2 x 6 + 3)."""
    recipe = Recipe(optimizer=SGD(lr=0.05), batch_size=5, **length)
    straight, taken = network(), 0
    expected = fit(tmp_path / "straight", straight, recipe)

    def counted(model: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        nonlocal taken
        taken += 1
        return squared(model, batch, generator)

    def killed(epoch: int, model: nn.Module) -> dict[str, float]:
        if epoch == 3 and by_signal:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)  # a long validation is not waited for
        if epoch == 3:
            raise KeyboardInterrupt
        return score(epoch, model)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "killed", network(), recipe, counted, killed)
    assert time.monotonic() - began < 5
    model = network()
    fitted = fit(tmp_path / "killed", model, recipe, counted)
    assert (taken, fitted) == (steps, expected)
    assert [entry["epoch"] for entry in fitted.history] == [1, 2, 3]
    assert same(model.state_dict(), straight.state_dict())
    log, straight_log = ((tmp_path / name / "metrics.jsonl").read_text() for name in ("killed", "straight"))
    assert log == straight_log
    assert fit(tmp_path / "killed", network(), recipe, counted) == expected
    assert taken == steps, "nothing is left to do"


def test_the_scale_of_half_precisions_loss_goes_on(tmp_path: Path) -> None:
    """It grows every 7 steps here, which an epoch's 6 do not divide."""

    def scaled(folder: Path, after_epoch: loop.AfterEpoch = score) -> tuple[dict[str, Tensor], float]:
        scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=7)
        precision = MixedPrecision("16-mixed", device="cpu", scaler=scaler)
        model, fabric = network(), Fabric(accelerator="cpu", devices=1, plugins=[precision])
        recipe = Recipe(optimizer=SGD(lr=0.05), batch_size=5, epochs=3)
        fit(folder, model, recipe, after_epoch=after_epoch, fabric=fabric, checkpoint_every=0.0)
        return model.state_dict(), scaler.get_scale()

    def killed(epoch: int, model: nn.Module) -> dict[str, float]:
        if epoch == 2:
            raise KeyboardInterrupt
        return score(epoch, model)

    weights, scale = scaled(tmp_path / "straight")
    assert scale == 4.0 * 2 ** (18 // 7)
    with pytest.raises(KeyboardInterrupt):
        scaled(tmp_path / "killed", killed)
    weights_again, scale_again = scaled(tmp_path / "killed")
    assert scale_again == scale
    assert same(weights_again, weights)


def test_a_checkpoint_of_another_version_is_named(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "run", {"step": 3, "model": {}})
    atomic.write_json(tmp_path / "run/config.json", {"digest": "test"})
    with pytest.raises(UserError, match=r"its checkpoint lacks average, digest, due, history, log_size.*--force"):
        fit(tmp_path / "run", network())


def test_a_broken_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {"step": 1})
    checkpoint.save(tmp_path, {"step": 2})
    latest = tmp_path / checkpoint.LATEST
    latest.write_bytes(latest.read_bytes()[:100])
    state = checkpoint.load(tmp_path)
    assert state is not None
    assert state["step"] == 1


def test_a_loss_that_becomes_nan_stops_and_says_where(tmp_path: Path) -> None:
    steps = 0

    def bad(model: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        nonlocal steps
        steps += 1
        loss, numbers = squared(model, batch, generator)
        return loss * (float("nan") if steps == 8 else 1.0), numbers

    with pytest.raises(UserError, match=r"loss is nan at step 7 of 120 \(learning rate 0\.05\)"):
        fit(tmp_path, network(), loss=bad, checkpoint_every=0.0)
    state = checkpoint.load(tmp_path)
    assert state is not None
    assert state["step"] == 7, "what was computed before the NaN is kept"
    assert all(bool(t.isfinite().all()) for t in state["model"].values())


def test_nothing_to_train_on_is_said(tmp_path: Path) -> None:
    class Empty(Points):
        def __len__(self) -> int:
            return 0

    with pytest.raises(UserError, match="no samples"):
        loop.fit(
            job(tmp_path),
            network(),
            samples=Empty(),
            collate=default_collate,
            loss=squared,
            recipe=RECIPE,
            parameters=[],
        )


def test_predictions_come_in_order_and_leave_the_mode(tmp_path: Path) -> None:
    model = network().train()
    told = loop.predict(
        job(tmp_path),
        model,
        samples=Points(),
        collate=default_collate,
        batch_size=7,
        step=lambda m, batch: [(m.training, float(y)) for y in batch[1]],
    )
    assert told == [(False, float(y)) for y in Points().y]
    assert model.training


@pytest.mark.parametrize(("precision", "expected"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)])
def test_predictions_are_made_in_the_runs_precision(tmp_path: Path, precision: Any, expected: torch.dtype) -> None:
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
    told = loop.predict(
        replace(job(tmp_path), fabric=fabric),
        network(),
        samples=Points(),
        collate=default_collate,
        batch_size=32,
        step=lambda m, batch: [m(batch[0]).dtype] * len(batch[0]),
    )
    assert set(told) == {expected}
