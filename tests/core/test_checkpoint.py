"""Checkpoints: the last two, compared with their checksums, of this config and network; a full disk, flipped bits."""

import logging
import random
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import default_collate

from core import checkpoint, loop
from core.errors import UserError
from core.recipe import SGD, AdamW, Recipe
from tests.core.networks import Points, job, network, squared

RECIPE = Recipe(optimizer=SGD(lr=0.05), batch_size=8, epochs=1)


def fit(folder: Path, model: nn.Module, recipe: Recipe = RECIPE) -> loop.Fitted:
    here = job(folder, checkpoint_every=0.0)
    groups = [{"params": list(model.parameters())}]
    try:
        return loop.fit(
            here, model, samples=Points(), collate=default_collate, loss=squared, recipe=recipe, parameters=groups
        )
    finally:
        assert here.run.lock is not None
        here.run.lock.release()


def test_the_last_two_are_kept(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path) is None
    for step in range(4):
        checkpoint.save(tmp_path, {"step": step})
    assert [path.name for path in sorted(tmp_path.iterdir())] == [checkpoint.PREVIOUS, checkpoint.LATEST]
    assert checkpoint.load(tmp_path) == {"step": 3}
    (tmp_path / checkpoint.LATEST).unlink()
    assert checkpoint.load(tmp_path) == {"step": 2}


def test_no_flipped_bit_passes_into_the_weights(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """torch's own reader passes most of them on."""
    checkpoint.save(tmp_path, {"step": 1})
    weights = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    checkpoint.save(tmp_path, {"step": 2, "weights": weights})
    latest, dice = tmp_path / checkpoint.LATEST, random.Random(0)
    data = latest.read_bytes()
    fell_back = unseen = 0
    for _ in range(100):
        bad = bytearray(data)
        bad[dice.randrange(len(bad))] ^= 1 << dice.randrange(8)
        latest.write_bytes(bad)
        state = checkpoint.load(tmp_path)
        assert state is not None
        assert state["step"] == 1 or torch.equal(state["weights"], weights)
        fell_back += state["step"] == 1
        try:
            unseen += not torch.equal(torch.load(latest, weights_only=True)["weights"], weights)
        except Exception:  # whatever it says of what it does see
            continue
    assert fell_back > 50
    assert unseen > 30
    assert "cannot be read and is passed over: the checksum of its record" in caplog.text
    assert "the run goes on from checkpoint.previous.pt and repeats the steps since" in caplog.text


@pytest.mark.parametrize("cut", [0, 1, 100, -1, -100])
def test_one_that_is_cut_short_is_passed_over(tmp_path: Path, cut: int) -> None:
    checkpoint.save(tmp_path, {"step": 1})
    checkpoint.save(tmp_path, {"step": 2})
    latest = tmp_path / checkpoint.LATEST
    latest.write_bytes(latest.read_bytes()[:cut])
    assert checkpoint.load(tmp_path) == {"step": 1}


def test_a_run_whose_checkpoints_are_all_broken_is_not_begun_anew(tmp_path: Path) -> None:
    fit(tmp_path / "run", network())
    for name in (checkpoint.LATEST, checkpoint.PREVIOUS):
        (tmp_path / "run" / name).write_bytes(b"PK")
    with pytest.raises(UserError, match=r"previous.pt cannot be read.*no other to go on from. --force starts the run"):
        fit(tmp_path / "run", network())
    assert (tmp_path / "run" / checkpoint.LATEST).read_bytes() == b"PK"


@pytest.mark.parametrize(("before", "warned"), [(1, False), (4, True), (None, False)])
def test_a_run_that_goes_on_with_other_processes_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, before: int | None, warned: bool
) -> None:
    fit(tmp_path / "run", network(), replace(RECIPE, epochs=None, steps=2))
    state: dict[str, Any] | None = checkpoint.load(tmp_path / "run")
    assert state is not None
    assert state.pop("processes") == 1
    checkpoint.save(tmp_path / "run", state if before is None else {**state, "processes": before})
    with caplog.at_level(logging.WARNING):
        fit(tmp_path / "run", network())
    assert ("written with processes=4, this is processes=1" in caplog.text) == warned


def test_a_full_disk_leaves_the_checkpoint_before_and_the_run_goes_on_from_it(tmp_path: Path) -> None:
    straight = network()
    fit(tmp_path / "straight", straight)
    fit(tmp_path / "run", network(), replace(RECIPE, epochs=None, steps=2))
    before = (tmp_path / "run" / checkpoint.LATEST).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            fit(tmp_path / "run", network())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / "run" / checkpoint.LATEST).read_bytes() == before
    assert not list((tmp_path / "run").glob("*.tmp"))
    model = network()
    fit(tmp_path / "run", model)
    assert all(torch.equal(tensor, straight.state_dict()[name]) for name, tensor in model.state_dict().items())


def wider() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 17), nn.BatchNorm1d(17), nn.ReLU(), nn.Dropout(0.2), nn.Linear(17, 1))


@pytest.mark.parametrize(
    ("model", "recipe"),
    [
        (wider, RECIPE),
        (lambda: nn.Sequential(nn.Linear(4, 1)), RECIPE),
        (lambda: nn.Sequential(network(), nn.Linear(1, 1)), RECIPE),
    ],
)
def test_one_of_another_network_is_refused(tmp_path: Path, model: Callable[[], nn.Module], recipe: Recipe) -> None:
    fit(tmp_path / "run", network())
    with pytest.raises(UserError, match=r"checkpoint is of another network or optimizer \(.*--force starts"):
        fit(tmp_path / "run", model(), recipe)


def test_one_of_another_config_is_refused(tmp_path: Path) -> None:
    fit(tmp_path / "run", network())
    state: dict[str, Any] | None = checkpoint.load(tmp_path / "run")
    assert state is not None
    checkpoint.save(tmp_path / "run", {**state, "digest": "another"})
    with pytest.raises(UserError, match=r"checkpoint is of another config \(digest another, here test\)"):
        fit(tmp_path / "run", network(), replace(RECIPE, optimizer=AdamW(lr=0.1)))
