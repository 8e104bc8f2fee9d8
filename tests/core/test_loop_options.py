"""Options in the loop: micro-batches, averaged weights, compiled networks; signals, bad weights, means of epochs."""

import functools
import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import default_collate

from core import checkpoint, loop
from core.errors import UserError
from core.loader import train_batches
from core.recipe import SGD, Recipe
from core.training.trainee import Trainee
from tests.core.networks import Points, job, network, squared

RECIPE = Recipe(optimizer=SGD(lr=0.05, momentum=0.9), batch_size=8, epochs=3)


def linear() -> nn.Module:
    """No batch statistics, no dropout: the same whether a batch comes whole or in parts."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))


def error(model: nn.Module, batch: Any, _: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
    loss = ((model(batch[0]) - batch[1]) ** 2).mean()
    return loss, {"wrong": (loss.detach() > 1).float()}


def fit(
    folder: Path,
    model: nn.Module,
    recipe: Recipe = RECIPE,
    loss: loop.Loss = error,
    after_epoch: loop.AfterEpoch | None = None,
    **config: Any,
) -> loop.Fitted:
    groups = [{"params": list(model.parameters())}]
    return loop.fit(
        job(folder, **config), model, samples=Points(), collate=default_collate, loss=loss, recipe=recipe,
        parameters=groups, after_epoch=after_epoch,
    )  # fmt: skip


@pytest.mark.parametrize("fields", [{}, {"batch_size": 12}, {"batch_size": 12, "drop_last": False}])
@pytest.mark.parametrize("clip", [None, 0.3])
def test_micro_batches_make_the_step_of_a_whole_batch(
    tmp_path: Path, fields: dict[str, Any], clip: float | None
) -> None:
    """A last batch that is short too: 32 = 2 x 12 + 8, in micro-batches of 3 the last of which has 2."""
    recipe = replace(RECIPE, clip_norm=clip, **fields)
    whole, parts = linear(), linear()
    fit(tmp_path / "whole", whole, recipe)
    sizes: list[int] = []

    def noted(model: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        sizes.append(len(batch[0]))
        return error(model, batch, generator)

    fit(tmp_path / "parts", parts, replace(recipe, accumulate=4), noted)
    for a, b in zip(parts.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
    expected = [2] * 16 if not fields else [3] * 8 + ([3, 3, 2] if "drop_last" in fields else [])
    assert sizes == expected * 3


def test_every_micro_batch_is_mixed_on_its_own(tmp_path: Path) -> None:
    drawn: list[float] = []

    def mixed(model: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        drawn.append(float(torch.rand((), generator=generator)))
        return error(model, batch, generator)

    for accumulate in (1, 2):
        fit(tmp_path / str(accumulate), linear(), replace(RECIPE, epochs=1, accumulate=accumulate), mixed)
    whole, halves = drawn[:4], drawn[4:]
    assert len(set(halves)) == 8
    assert halves[::2] == whole, "the first has the draw of a whole batch"


def test_the_average_is_torchs_and_is_what_is_validated_and_kept(tmp_path: Path) -> None:
    """Weights and batch statistics, beside torch's AveragedModel with buffers on a training without an average."""
    begun, plain, kept = False, network(), network()
    decay = get_ema_multi_avg_fn(0.8)  # type: ignore[no-untyped-call]
    average = AveragedModel(plain, multi_avg_fn=decay, use_buffers=True)
    averages: list[dict[str, Tensor]] = []

    def followed(model: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        nonlocal begun
        if begun:
            average.update_parameters(plain)
        begun = True
        return squared(model, batch, generator)

    def ended(epoch: int, model: nn.Module) -> dict[str, float]:
        nonlocal begun
        average.update_parameters(plain)
        begun = False
        averages.append({name: tensor.clone() for name, tensor in average.module.state_dict().items()})
        return {}

    fit(tmp_path / "plain", plain, loss=followed, after_epoch=ended)
    seen: list[dict[str, Tensor]] = []

    def validated(epoch: int, model: nn.Module) -> dict[str, float]:
        seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return {}

    fit(tmp_path / "averaged", kept, replace(RECIPE, ema_decay=0.8), squared, validated)
    counts = [name for name, tensor in kept.state_dict().items() if not tensor.is_floating_point()]
    assert len(seen) == 3
    for told, expected in zip([*seen, kept.state_dict()], [*averages, averages[-1]], strict=True):
        assert {name for name in expected if not torch.equal(told[name], expected[name])} <= set(counts)
    assert [int(kept.state_dict()[name]) for name in counts] == [12], "a count is the newest"
    state = checkpoint.load(tmp_path / "averaged")
    assert state is not None
    assert all(torch.equal(state["model"][name], tensor) for name, tensor in plain.state_dict().items()), "trained on"
    assert fit(tmp_path / "averaged", again := network(), replace(RECIPE, ema_decay=0.8), squared).steps == 12
    assert all(torch.equal(tensor, kept.state_dict()[name]) for name, tensor in again.state_dict().items())


def test_a_compiled_network_is_trained_under_its_own_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []

    def graph(module: Any, inputs: Any) -> Any:
        compiled.append(module)
        return module.forward

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=graph))
    plain, faster = linear(), linear()
    recipe = replace(RECIPE, epochs=1, ema_decay=0.5)
    fit(tmp_path / "plain", plain, recipe)
    assert not compiled
    fit(tmp_path / "compiled", faster, recipe, compile=True)
    assert compiled
    assert faster.state_dict().keys() == plain.state_dict().keys()
    for a, b in zip(faster.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    state = checkpoint.load(tmp_path / "compiled")
    assert state is not None
    assert state["model"].keys() == plain.state_dict().keys()


def test_a_compiled_networks_graphs_are_for_one_shape_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a short last batch too: torch's own way is then one graph for any shape."""
    ran: list[tuple[int, int]] = []

    def graph(module: Any, inputs: Any) -> Any:
        def run(*given: Any) -> Any:
            ran.append((id(module), max(len(x) for x in given if isinstance(x, Tensor) and x.shape[1:] == (4,))))
            return module.forward(*given)

        return run

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=graph))
    fit(tmp_path / "run", nn.Linear(4, 1), replace(RECIPE, batch_size=12, drop_last=False), compile=True)
    assert [size for _, size in ran] == [12, 12, 8] * 3
    assert len(set(ran)) == len({graph for graph, _ in ran}) == 2


def test_the_scaled_learning_rate_is_told_and_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    scaled, plain = linear(), linear()
    fit(tmp_path / "scaled", scaled, replace(RECIPE, lr_batch=2))
    assert "learning rate 0.2, which is 0.05 for a batch of 2 scaled to 8" in caplog.text
    fit(tmp_path / "plain", plain, replace(RECIPE, optimizer=SGD(lr=0.2, momentum=0.9)))
    assert all(torch.equal(tensor, plain.state_dict()[name]) for name, tensor in scaled.state_dict().items())


def test_epochs_have_their_means(tmp_path: Path) -> None:
    """Weighted by images, also where the run was killed within the epoch; at learning rate 0, so to say."""
    recipe = Recipe(optimizer=SGD(lr=1e-30), batch_size=12, epochs=2, drop_last=False)
    model, said, steps = linear(), [], 0
    for epoch in range(2):
        batches = train_batches(Points(), default_collate, seed=0, epoch=epoch, batch_size=12, first=0, count=3)
        losses = [(error(model, batch, torch.Generator())[0].item(), len(batch[0])) for batch in batches]
        assert [size for _, size in losses] == [12, 12, 8]
        said.append(sum(loss * size for loss, size in losses) / 32)

    def killed(model: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise KeyboardInterrupt
        return error(model, batch, generator)

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "run", linear(), recipe, killed, lambda *_: {"own": 1.0}, checkpoint_every=0.0)
    fitted = fit(tmp_path / "run", model, recipe, error, lambda *_: {"own": 1.0})
    assert [line["train_loss"] for line in fitted.history] == pytest.approx(said, rel=1e-6)
    assert [set(line) for line in fitted.history] == [{"epoch", "train_loss", "train_wrong", "own"}] * 2


def test_a_loss_can_say_how_its_means_are_logged(tmp_path: Path) -> None:
    class Told:
        def __call__(self, *given: Any) -> tuple[Tensor, dict[str, Tensor]]:
            return error(*given)

        def epoch_numbers(self, means: dict[str, float]) -> dict[str, float]:
            assert means.keys() == {"loss", "wrong"}
            return {"right": 1 - means["wrong"]}

    fitted = fit(tmp_path / "run", linear(), replace(RECIPE, epochs=1), Told(), lambda *_: {})
    assert [set(line) for line in fitted.history] == [{"epoch", "right"}]


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM, signal.SIGINT])
def test_signals_save_within_an_epoch(tmp_path: Path, number: signal.Signals) -> None:
    """SIGUSR1 and the training goes on; SIGTERM or Ctrl-C and it stops after the step that is under way."""
    found: list[int] = []

    def told(model: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        state = checkpoint.load(tmp_path / "run")
        found.append(-1 if state is None else state["step"])
        if len(found) == 2:
            os.kill(os.getpid(), number)
        return error(model, batch, generator)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    handlers = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)]
    try:
        if number == signal.SIGUSR1:
            fit(tmp_path / "run", linear(), RECIPE, told)
            assert found == [-1, -1, *[2] * 10]
        else:
            with pytest.raises(KeyboardInterrupt):
                fit(tmp_path / "run", linear(), RECIPE, told)
            state = checkpoint.load(tmp_path / "run")
            assert state is not None
            assert (found, state["step"]) == ([-1, -1], 2)
        assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)] == handlers
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_ctrl_c_is_not_made_to_wait(tmp_path: Path) -> None:
    def told(model: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the step went on")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "run", linear(), RECIPE, told)
    finally:
        signal.signal(signal.SIGINT, before)
    assert checkpoint.load(tmp_path / "run") is None


@pytest.mark.parametrize("clip", [None, 1.0])
def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path, clip: float | None) -> None:
    """The loss is finite, its gradient is not: the derivative of the square root at 0."""
    steps = 0

    def bad(model: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        nonlocal steps
        steps += 1
        loss, numbers = error(model, batch, generator)
        return loss + (loss * 0).sqrt() if steps == 3 else loss, numbers

    with pytest.raises(UserError, match="weights are not finite after step 3 of 12"):
        fit(tmp_path / "run", linear(), replace(RECIPE, clip_norm=clip), bad, checkpoint_every=0.0)
    state = checkpoint.load(tmp_path / "run")
    assert state is not None
    assert state["step"] == 2


class Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what would wait for a device: a tensor's values being asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count, listed = 0, torch.Tensor.tolist

        def tolist(tensor: Tensor) -> Any:  # of a tensor on the CPU it is no call that is dispatched
            self.count += 1
            return listed(tensor)

        monkeypatch.setattr(torch.Tensor, "tolist", tolist)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default)
        return func(*args, **(kwargs or {}))


def test_asking_for_values_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = torch.ones(2)
    with Waits(monkeypatch) as waits:
        found = float(tensor[0]), bool(tensor[0] > 0), tensor[0].item(), tensor.tolist(), torch.equal(tensor, tensor)
    assert (len(found), waits.count) == (5, 5)


@pytest.mark.parametrize("fields", [{}, {"accumulate": 2, "ema_decay": 0.9, "clip_norm": 1.0}, {"clip_value": 1.0}])
def test_a_step_between_looks_waits_for_nothing(
    tmp_path: Path, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = linear()
    groups = [{"params": list(model.parameters())}]
    row = loop.Row(job(tmp_path), model, error, replace(RECIPE, epochs=None, steps=100, **fields), groups)
    trainee = Trainee(row, samples=800)
    trainee.look_every = 25  # as on CUDA
    batch = torch.randn(4, 4), torch.randn(4, 1)
    waits, parts, looked = Waits(monkeypatch), trainee.recipe.accumulate, []
    for step in range(50):
        before = waits.count
        with waits:
            for part in range(parts):
                trainee.train_on(batch, part, 8 // parts, part + 1 == parts)
        looked += [step] * (waits.count - before)
    assert looked == [24, 49]


def test_a_loss_that_is_not_read_yet_is_not_shown(tmp_path: Path) -> None:
    model = linear()
    row = loop.Row(job(tmp_path), model, error, RECIPE, [{"params": list(model.parameters())}])
    trainee = Trainee(row, samples=800)
    trainee.look_every = 25  # as on CUDA
    trainee.train_on((torch.randn(8, 4), torch.randn(8, 1)), 0, 8, last=True)
    trainee.show(0.0)
    assert "loss" not in json.loads((tmp_path / "progress.json").read_text())


def test_progress_tells_loss_numbers_and_the_wait_for_data(tmp_path: Path) -> None:
    fit(tmp_path / "run", linear())
    progress = json.loads((tmp_path / "run/progress.json").read_text())
    assert (progress["done"], progress["total"]) == (96, 96)
    assert progress["loss"] > 0
    assert 0 < progress["wrong"] < 1, "smoothed"
    assert 0 < progress["data_wait"] < 1


def test_a_wait_while_the_device_is_busy_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainee, "busy", True)  # as on CUDA, where the process runs ahead
    fit(tmp_path / "run", linear())
    assert json.loads((tmp_path / "run/progress.json").read_text())["data_wait"] == 0.0
