"""Whole trainings of captioners in miniature: a COCO folder, a small backbone, one call of the transfer stage."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from PIL import Image
from torch import Tensor, nn

from core import backbone, checkpoint
from core.backbone import Backbone, Spec
from core.recipe import AdamW, Recipe
from core.run import Run, open_run
from core.stage import Job
from tests.core.networks import TINY
from transfer.stage import Transfer, execute
from transfer.tasks.captioning.nic import NIC
from transfer.tasks.captioning.objective import Objective
from transfer.tasks.captioning.task import Captioning

TRAINED, TESTED = 9, 4
WORDS = ("a", "red", "green", "dog", "cat", "runs", "sits", "here")
START = "start.safetensors"


@dataclass(frozen=True)
class Noting(Captioning):
    """A captioning task that notes its losses, and calls `before` with the number of each (from 1)."""

    losses: list[Tensor] = field(default_factory=list)
    before: Callable[[int], object] = bool

    def objective(self, recipe: Recipe, samples: int) -> Objective:
        """The task's own, noted."""
        own, task = super().objective(recipe, samples), self

        class Noted(Objective):
            def __call__(self, model: nn.Module, batch: Any, generator: torch.Generator) -> Any:
                task.before(len(task.losses) + 1)
                value, numbers = super().__call__(model, batch, generator)
                task.losses.append(value.detach())
                return value, numbers

        return Noted(own.smoothing, own.sampling, own.steps_per_epoch)


TASK: dict[str, Any] = {
    "resize": 36, "crop": 32, "decoder": NIC(embed=8, hidden=8, dropout=0.1), "min_count": 1, "max_words": 5, "beam": 2,
    "metrics": ("bleu",), "encoder_lr_scale": 0.5,
}  # fmt: skip
RECIPE = Recipe(optimizer=AdamW(lr=0.01), batch_size=6, epochs=3, drop_last=False)  # 18 captions: 3 steps an epoch


def write_sets(root: Path, trained: int = TRAINED) -> None:
    """COCO with `trained` images of two captions each to train on and `TESTED` others, and a backbone beside it."""
    draw = np.random.default_rng(3)
    for split, first, count in (("train2017", 1, trained), ("val2017", 1001, TESTED)):
        (root / "coco" / split).mkdir(parents=True)
        (root / "coco/annotations").mkdir(exist_ok=True)
        images, annotations = [], []
        for id in range(first, first + count):
            pixels = draw.integers(0, 256, (30, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / f"coco/{split}/{id}.jpg", quality=95)
            images.append({"id": id, "file_name": f"{id}.jpg"})
            for turn in range(2):
                words = " ".join(draw.choice(WORDS, draw.integers(2, 7)))
                annotations.append({"id": 2 * id + turn, "image_id": id, "caption": words})
        text = json.dumps({"images": images, "annotations": annotations})
        (root / f"coco/annotations/captions_{split}.json").write_text(text)
    net = start()
    backbone.save(root / START, net.model, net.spec)


def start() -> Backbone:
    """A small ResNet, whose norms have statistics as if it had been trained."""
    torch.manual_seed(0)
    spec = Spec("timm:resnet18", num_classes=3, input_size=32, kwargs=TINY)
    network = backbone.build(spec)
    network(torch.randn(16, 3, 32, 32))
    return Backbone(spec, network, "not loaded", "start")


def a_job(root: Path, folder: Path, config: Transfer, fabric: Fabric | None = None) -> Job:
    """The stage's job in `folder`, which the first process opens, as the command does."""
    fabric = fabric or Fabric(accelerator="cpu", devices=1, precision=config.precision)
    run = open_run(folder, {"digest": "test"}) if fabric.global_rank == 0 else None
    if fabric.world_size > 1:
        fabric.barrier()
    return Job(run or Run(folder, "test"), root, config, str(root / START), fabric, "row", root / "runs")


@dataclass
class Trained:
    """What a run left, and the losses of the steps of this process."""

    state: dict[str, Any]
    predictions: list[dict[str, Any]]
    log: str
    losses: list[float]
    more: dict[str, Any]

    @property
    def encoder(self) -> dict[str, Tensor]:
        """Its tensors."""
        return {name: t for name, t in self.state["model"].items() if name.startswith("encoder.")}


def train(
    root: Path, folder: Path, changes: dict[str, Any] | None = None, recipe: Recipe = RECIPE,
    fabric: Fabric | None = None, **config: Any,
) -> Trained:  # fmt: skip
    """Run the stage, as a command would but for result.json: the checkpoint stays."""
    torch.set_num_threads(1)
    task = Noting(**{**TASK, **(changes or {})})
    torch.manual_seed(5)  # the command's: a decoder's new weights
    transfer = Transfer(task=task, recipe=recipe, device="cpu", test_batch_size=3, **config)
    outcome = execute(transfer, a_job(root, folder, transfer, fabric))
    if fabric is not None and fabric.world_size > 1:
        fabric.barrier()
    return left(folder, [float(loss) for loss in task.losses], outcome.more)


def left(folder: Path, losses: list[float], more: dict[str, Any]) -> Trained:
    """What lies in a run's folder."""
    state = checkpoint.load(folder)
    assert state is not None
    predictions = json.loads((folder / "predictions.json").read_text())
    return Trained(state, predictions, (folder / "metrics.jsonl").read_text(), losses, more)
