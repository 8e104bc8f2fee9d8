"""Two processes as one job: the draws, losses, weights and predictions of one process; one writer; one stop."""

import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.utils.data import default_collate

from core import checkpoint, loop, peers
from core.errors import UserError
from core.mixing import Draw, Mixing
from core.recipe import SGD, Recipe
from core.run import Run
from core.stage import Job
from core.training.trainee import _synchronise
from pretrain.mixing.at_layers import AtLayers
from pretrain.mixing.cutmix import CutMix
from pretrain.mixing.cutout import Cutout
from pretrain.mixing.mixup import Mixup
from pretrain.objective import Objective
from tests.core.networks import TINY_SPEC, Nothing, job
from tests.core.ranks import in_ranks

RECIPE = Recipe(optimizer=SGD(lr=0.1), batch_size=8, epochs=2)
ALONE = Fabric(accelerator="cpu", devices=1)
drawn: list[tuple[float, Any]] = []


class Pictures:
    """47 random images of 12 x 12 pixels, in three classes."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(2)
        self.pixels = torch.randint(256, (47, 3, 12, 12), dtype=torch.uint8, generator=generator)
        self.labels = torch.randint(3, (47,), generator=generator)

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, index: int) -> tuple[Tensor, Tensor]:
        return self.pixels[index], self.labels[index]


@dataclass(frozen=True)
class NotedCutMix(CutMix):
    """CutMix that notes what it drew."""

    def draw(self, shape: Any, generator: torch.Generator, progress: float = 0.0) -> Draw:
        draw = super().draw(shape, generator, progress)
        drawn.append((draw.lam, [int(edge) for edge in draw.box or ()]))
        return draw


class Noted(Objective):
    """An objective that keeps this process's losses, each with its number of images."""

    def __init__(self, mixing: Mixing, fabric: Fabric) -> None:
        super().__init__(mixing, TINY_SPEC, peers=peers.of(fabric))
        self.losses: list[tuple[float, int]] = []

    def __call__(self, model: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        loss, numbers = super().__call__(model, batch, generator)
        self.losses.append((float(loss.detach()), len(batch[1])))
        return loss, numbers


def small() -> nn.Module:
    """No batch statistics: those are of each process's own images."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(54, 3)
    )


def run_job(folder: Path, fabric: Fabric) -> Job:
    """A job whose folder the first process opens, as the stages' command does."""
    if fabric.global_rank == 0:
        opened = job(folder, fabric)
    fabric.barrier()
    return opened if fabric.global_rank == 0 else Job(Run(folder, "test"), folder, Nothing(), None, fabric, "row")


def train(
    folder: Path, fabric: Fabric, mixing: Mixing, recipe: Recipe = RECIPE
) -> tuple[dict[str, Tensor], list[tuple[float, int]], list[dict[str, float]]]:
    model, loss = small(), Noted(mixing, fabric)
    groups = [{"params": list(model.parameters())}]
    fitted = loop.fit(
        run_job(folder, fabric), model, samples=Pictures(), collate=default_collate, loss=loss, recipe=recipe,
        parameters=groups, after_epoch=lambda epoch, _: {"score": float(epoch)},
    )  # fmt: skip
    return model.state_dict(), loss.losses, fitted.history


RUNS: dict[str, tuple[Mixing, Recipe]] = {
    "cutmix": (NotedCutMix(), RECIPE),
    "mixup": (Mixup(), RECIPE),
    "cutout": (Cutout(), RECIPE),
    "at a layer": (AtLayers(CutMix(), sites=("0", "2")), RECIPE),
    "accumulated, averaged, clipped": (CutMix(), replace(RECIPE, accumulate=2, ema_decay=0.8, clip_norm=0.5)),
    # 47 = 5 x 8 + 7, of which the second process has one image less
    "a short last batch": (CutMix(), replace(RECIPE, drop_last=False)),
    "a short last batch at a layer": (AtLayers(CutMix(), sites=("0", "2")), replace(RECIPE, drop_last=False)),
    "a short last micro-batch": (Mixup(), replace(RECIPE, drop_last=False, accumulate=2)),
}


def all_runs(fabric: Fabric, folder: Path) -> Any:
    drawn.clear()
    results = {name: train(folder / name.replace(" ", "_"), fabric, *run) for name, run in RUNS.items()}
    return {"results": results, "drawn": list(drawn)}


def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    one = all_runs(ALONE, tmp_path / "one")
    two = in_ranks(all_runs, tmp_path / "two")
    assert len(one["drawn"]) == 2 * (47 // 8)
    assert two[0]["drawn"] == two[1]["drawn"] == one["drawn"]
    for name in RUNS:
        weights, losses, history = one["results"][name]
        (first, a, told), (second, b, told_too) = (rank["results"][name] for rank in two)
        means = [(x * n + y * m) / (n + m) for (x, n), (y, m) in zip(a, b, strict=True)]
        assert means == pytest.approx([loss for loss, _ in losses], abs=1e-5), name
        assert told == told_too
        assert told == [{key: pytest.approx(value, abs=1e-5) for key, value in line.items()} for line in history]
        for tensor in weights:
            assert torch.equal(first[tensor], second[tensor]), f"{name}: the processes differ in {tensor}"
            torch.testing.assert_close(first[tensor], weights[tensor], atol=1e-5, rtol=0.0, msg=f"{name}: {tensor}")


class Noisy(Pictures):
    """A sample's random numbers are its own, whoever makes it."""

    def sample(self, index: int) -> tuple[Tensor, Tensor]:
        pixels, label = super().sample(index)
        return pixels + torch.rand(()), label


def foretell(fabric: Fabric, folder: Path) -> Any:
    here = run_job(folder / "run", fabric)
    return [
        loop.predict(
            here, small(), samples=Noisy(), collate=default_collate, batch_size=batch_size,
            step=lambda model, batch: model(batch[0]).tolist(),
        )
        for batch_size in (7, 47)  # seven batches, the last a short one, and one
    ]  # fmt: skip


def test_predictions_are_shared_and_gathered_in_order(tmp_path: Path) -> None:
    expected = foretell(ALONE, tmp_path / "one")
    assert [len(found) for found in expected] == [47, 47]
    for ranks in (2, 3):
        assert in_ranks(foretell, tmp_path / str(ranks), ranks) == [expected] * ranks


def stopped(fabric: Fabric, folder: Path) -> Any:
    """The second process alone is told to stop, in mid-epoch; then both go on."""
    mixing, taken = CutMix(), 0

    class Told(Noted):
        def begin_step(self, step: int, total: int) -> None:
            nonlocal taken
            taken += 1
            if step == 6 and fabric.global_rank == 1:
                os.kill(os.getpid(), signal.SIGTERM)

    model, loss = small(), Told(mixing, fabric)
    groups = [{"params": list(model.parameters())}]
    here = run_job(folder / "killed", fabric)
    with pytest.raises(KeyboardInterrupt):
        loop.fit(here, model, samples=Pictures(), collate=default_collate, loss=loss, recipe=RECIPE, parameters=groups)
    fabric.barrier()  # the first process has written it
    state = checkpoint.load(folder / "killed")
    assert state is not None
    fabric.barrier()
    if here.run.lock is not None:
        here.run.lock.release()
    weights, losses, _ = train(folder / "killed", fabric, mixing)
    straight, expected, _ = train(folder / "straight", fabric, mixing)
    same = all(torch.equal(weights[name], straight[name]) for name in straight)
    return {"taken": taken, "saved": state["step"], "same": same, "losses": losses == expected[-len(losses) :]}


def test_a_stop_signal_to_one_process_stops_all_at_the_same_step(tmp_path: Path) -> None:
    found = in_ranks(stopped, tmp_path)
    assert found == [{"taken": 7, "saved": 7, "same": True, "losses": True}] * 2
    there = {path.name for path in (tmp_path / "straight").iterdir()} - {".lock"}
    assert there == {"checkpoint.previous.pt", "checkpoint.pt", "config.json", "metrics.jsonl", "progress.json"}
    lines = (tmp_path / "straight/metrics.jsonl").read_text().splitlines()
    assert len(lines) == 3, "two epochs and the last step, each told once"


def not_finite(fabric: Fabric, folder: Path) -> Any:
    """The loss of the second process alone becomes NaN."""

    class Bad(Noted):
        def __call__(self, model: nn.Module, batch: Any, generator: torch.Generator) -> Any:
            loss, numbers = super().__call__(model, batch, generator)
            return loss * (float("nan") if fabric.global_rank == 1 and len(self.losses) == 4 else 1.0), numbers

    model = small()
    with pytest.raises(UserError, match="loss is nan at step 3 of 10"):
        loop.fit(
            run_job(folder / "run", fabric), model, samples=Pictures(), collate=default_collate,
            loss=Bad(CutMix(), fabric), recipe=RECIPE, parameters=[{"params": list(model.parameters())}],
        )  # fmt: skip
    return True


def test_a_loss_that_is_nan_in_one_process_stops_all(tmp_path: Path) -> None:
    assert in_ranks(not_finite, tmp_path) == [True, True]


def badly_shared(fabric: Fabric, folder: Path) -> Any:
    said: list[str] = []
    for recipe in (
        replace(RECIPE, batch_size=7),
        replace(RECIPE, sync_batchnorm=True),
        replace(RECIPE, drop_last=False, batch_size=46),
    ):
        try:
            train(folder / str(len(said)), fabric, CutMix(), recipe)
            said.append("")
        except UserError as error:
            said.append(str(error))
    return said


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    for said in in_ranks(badly_shared, tmp_path):
        assert "multiple of accumulate x processes = 1 x 2; batch_size=7" in said[0]
        assert "sync_batchnorm needs GPUs; this runs on cpu" in said[1]
        assert "last batch has 1 of 47 samples, fewer than 2 processes" in said[2]


def test_synchronised_batch_norms_keep_parameters_and_timms_activation() -> None:
    model = nn.Sequential(BatchNormAct2d(4), nn.BatchNorm2d(4))
    before, names = list(model.parameters()), model.state_dict().keys()
    _synchronise(model, torch.device("cuda"))
    assert all(isinstance(module, nn.SyncBatchNorm) for module in model)
    assert isinstance(model[0].act, nn.ReLU)
    assert all(a is b for a, b in zip(model.parameters(), before, strict=True)), "the optimizer has these"
    assert model.state_dict().keys() == names
