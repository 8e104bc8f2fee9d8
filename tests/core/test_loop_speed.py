"""How fast a training or a test was: every image once, also over a kill; waiting is told from working."""

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from core import loop
from core.recipe import SGD, Recipe
from core.training.speed import Speed, waited_for
from tests.core.networks import Points, job, network, squared

RECIPE = Recipe(optimizer=SGD(lr=0.05), batch_size=5, epochs=2, drop_last=False)  # 7 steps of 32 images
SLOW = 0.02  # seconds


class Slow(Points):
    """Points that take a while to make."""

    def sample(self, index: int) -> tuple[Tensor, Tensor]:
        time.sleep(SLOW / 5)
        return super().sample(index)


def fit(folder: Path, loss: loop.Loss = squared, samples: Points | None = None, **config: Any) -> loop.Fitted:
    model = network()
    return loop.fit(
        job(folder, **config), model, samples=samples or Points(), collate=default_collate, loss=loss, recipe=RECIPE,
        parameters=[{"params": list(model.parameters())}],
    )  # fmt: skip


def test_images_and_time_add_up_over_a_kill(tmp_path: Path) -> None:
    taken = 0

    def killed(model: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        nonlocal taken
        taken += 1
        if taken == 10:
            raise KeyboardInterrupt
        time.sleep(SLOW)
        return squared(model, batch, generator)

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, killed, checkpoint_every=0.0)
    fitted = fit(tmp_path)
    assert (fitted.steps, fitted.speed.images) == (14, 64)
    assert fitted.speed.seconds > 9 * SLOW
    assert fit(tmp_path).speed == fitted.speed, "nothing was left to do"


def test_waiting_is_told_from_working(tmp_path: Path) -> None:
    def slow(model: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        time.sleep(SLOW)
        return squared(model, batch, generator)

    worked, waited = fit(tmp_path / "worked", slow).speed, fit(tmp_path / "waited", samples=Slow()).speed
    assert worked.waiting < 0.5 < waited.waiting
    assert waited.waited > 64 * SLOW / 5


def test_a_tests_speed(tmp_path: Path) -> None:
    speed = Speed()
    found = loop.predict(
        job(tmp_path), network(), samples=Slow(), collate=default_collate, batch_size=5,
        step=lambda model, batch: model(batch[0]).tolist(), speed=speed,
    )  # fmt: skip
    assert (len(found), speed.images) == (32, 32)
    assert speed.seconds > speed.waited > 32 * SLOW / 5
    numbers = speed.numbers()
    assert numbers["images_per_second"] == pytest.approx(32 / speed.seconds, abs=0.01)
    assert numbers["waiting"] == pytest.approx(speed.waited / speed.seconds, abs=1e-4)


def test_batches_pass_as_they_come() -> None:
    speed = Speed()
    assert list(waited_for(iter([1, 2]), speed)) == [1, 2]
    assert speed.images == 0
