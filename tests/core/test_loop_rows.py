"""Rows trained side by side: the bits of each alone, catching up, failing alone, and what cannot share a stream."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from core import checkpoint, loop
from core.errors import UserError
from core.recipe import SGD, AdamW, Recipe
from tests.core.networks import Points, job, network, squared

RECIPE = Recipe(optimizer=SGD(lr=0.05, momentum=0.9), batch_size=6, epochs=3, accumulate=2)
RECIPES = {
    "plain": RECIPE,
    "averaged": replace(RECIPE, optimizer=AdamW(lr=0.01), ema_decay=0.7, clip_norm=1.0),
    "shorter": replace(RECIPE, epochs=None, steps=8, clip_value=0.1),
}
Touch = Callable[[int], float]


@dataclass
class Loss:
    """A loss that a test can meddle with: times `touch(step)`."""

    touch: Touch = field(default=lambda _: 1.0)
    steps: list[int] = field(default_factory=list)

    def begin_step(self, step: int, total: int) -> None:
        assert 0 <= step < total
        self.steps.append(step)

    def __call__(self, model: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        loss, numbers = squared(model, batch, generator)
        return loss * self.touch(self.steps[-1]), numbers


def row(folder: Path, recipe: Recipe, loss: Loss | None = None, **config: Any) -> loop.Row:
    model = network()

    def after_epoch(epoch: int, model: nn.Module) -> dict[str, float]:
        # Random numbers too: what another row did before must not reach them.
        return {
            "weights": sum(float(p.detach().abs().sum()) for p in model.parameters()),
            "noise": float(torch.rand(())),
        }

    parameters = [{"params": list(model.parameters())}]
    return loop.Row(job(folder, **config), model, loss or Loss(), recipe, parameters, after_epoch)


def together(rows: list[loop.Row]) -> list[loop.Fitted]:
    return loop.fit_together(rows, samples=Points(), collate=default_collate)


def left(one: loop.Row) -> tuple[dict[str, Any], str]:
    """Everything of a row that must be the same: its weights' bits and its log."""
    log = (one.job.run.folder / "metrics.jsonl").read_text()
    return {name: tensor.numpy().tobytes() for name, tensor in one.model.state_dict().items()}, log


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, tuple[loop.Fitted, tuple[dict[str, Any], str]]]:
    """What each row leaves when it is trained alone."""
    found = {}
    for name, recipe in RECIPES.items():
        one = row(tmp_path / "alone" / name, recipe)
        [fitted] = together([one])
        one.job.run.lock.release()  # type: ignore[union-attr]
        found[name] = fitted, left(one)
    assert len({str(weights) for _, (weights, _) in found.values()}) == len(RECIPES), "the rows do not differ"
    return found


@pytest.mark.parametrize("workers", [0, 1])
def test_rows_end_with_the_bits_of_each_alone(tmp_path: Path, alone: dict[str, Any], workers: int) -> None:
    rows = {name: row(tmp_path / name, recipe, workers=workers) for name, recipe in RECIPES.items()}
    for (name, one), fitted in zip(rows.items(), together(list(rows.values())), strict=True):
        assert (fitted, left(one)) == alone[name], name


def test_rows_that_were_killed_at_different_steps_catch_up(tmp_path: Path, alone: dict[str, Any]) -> None:
    def killed_at(last: int) -> Touch:
        def touch(step: int) -> float:
            if step == last:
                raise KeyboardInterrupt
            return 1.0

        return touch

    for name, step in {"plain": 2, "averaged": 11}.items():
        one = row(tmp_path / name, RECIPES[name], Loss(killed_at(step)), checkpoint_every=0.0)
        with pytest.raises(KeyboardInterrupt):
            together([one])
        one.job.run.lock.release()  # type: ignore[union-attr]
    losses = {name: Loss() for name in RECIPES}
    rows = {name: row(tmp_path / name, recipe, losses[name]) for name, recipe in RECIPES.items()}
    for (name, one), fitted in zip(rows.items(), together(list(rows.values())), strict=True):
        assert (fitted, left(one)) == alone[name], name
    assert {name: loss.steps for name, loss in losses.items()} == {
        "plain": list(range(2, 15)),
        "averaged": list(range(11, 15)),
        "shorter": list(range(8)),
    }


def test_a_row_that_fails_stops_alone(tmp_path: Path, alone: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    bad = Loss(lambda step: float("nan") if step == 4 else 1.0)
    rows = [
        row(tmp_path / "plain", RECIPES["plain"]),
        row(tmp_path / "bad", RECIPES["averaged"], bad, checkpoint_every=0.0),
        row(tmp_path / "shorter", RECIPES["shorter"]),
    ]
    plain, failed, shorter = together(rows)
    assert (plain, left(rows[0])) == alone["plain"]
    assert (shorter, left(rows[2])) == alone["shorter"]
    assert failed.steps == 4
    assert "loss is nan at step 4 of 15" in str(failed.error)
    assert "bad: stopped, the other rows go on: the loss is nan" in caplog.text
    state = checkpoint.load(tmp_path / "bad")
    assert state is not None
    assert state["step"] == 4


def test_all_rows_may_fail(tmp_path: Path) -> None:
    bad = [row(tmp_path / str(i), RECIPE, Loss(lambda step: float("inf"))) for i in range(2)]
    assert ["loss is inf at step 0" in str(fitted.error) for fitted in together(bad)] == [True, True]


def test_no_data_is_read_for_rows_that_have_all_failed(tmp_path: Path) -> None:
    """In the first of a step's two micro-batches."""
    read: list[int] = []

    class Noted(Points):
        def sample(self, index: int) -> tuple[Tensor, Tensor]:
            read.append(index)
            return super().sample(index)

    def refused(*_: object) -> Any:
        raise UserError("not this one")

    rows = [replace(row(tmp_path / str(i), RECIPE), loss=refused) for i in range(2)]
    fitted = loop.fit_together(rows, samples=Noted(), collate=default_collate)
    assert [str(end.error) for end in fitted] == ["not this one"] * 2
    assert len(read) == 6


@pytest.mark.parametrize(
    ("fields", "config", "message"),
    [
        ({"batch_size": 8}, {}, "recipe.batch_size: 6 there, 8 here"),
        ({"accumulate": 3}, {}, "recipe.accumulate: 2 there, 3 here"),
        ({"drop_last": False}, {"seed": 3}, "seed: 0 there, 3 here; recipe.drop_last: True there, False here"),
    ],
)
def test_rows_of_different_streams_are_refused(
    tmp_path: Path, fields: dict[str, Any], config: dict[str, Any], message: str
) -> None:
    rows = [row(tmp_path / "a", RECIPE), row(tmp_path / "b", replace(RECIPE, **fields), **config)]
    with pytest.raises(UserError, match=rf"b cannot be trained beside .*a: .*{message}"):
        together(rows)
