"""Whole trainings of detectors in miniature: a VOC folder, one task of each kind, one call of the transfer stage.

Every training image has one object in its very middle, so that each has as many default boxes, anchors and regions to
learn from, flipped or not, and no loss samples among them: a mean over processes is then the mean over images.
"""

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from PIL import Image
from torch import Tensor

from core import backbone, checkpoint
from core.backbone import Spec
from core.data.voc import VOC, VOC_CLASSES
from core.recipe import SGD, Recipe
from core.run import Run, open_run
from core.stage import Job
from tests.core.networks import TINY
from transfer.stage import Transfer, execute
from transfer.tasks.detection.augmentation import SSDAugmentation
from transfer.tasks.detection.data import Fit
from transfer.tasks.detection.task import Detection
from transfer.tasks.faster_rcnn import C4, FPN, FasterRCNN
from transfer.tasks.ssd import SSD

SIDE, TRAINED, TESTED = 64, 12, 5
DATA = VOC(train=(("2007", "trainval"),))
_FEW: dict[str, Any] = {  # so that none is left out by chance
    "regions_per_image": 64, "anchors_per_image": 10_000, "candidates": (64, 16), "proposals": (8, 8),
}  # fmt: skip
TASKS: dict[str, Detection] = {
    "ssd": SSD(
        data=DATA, side=SIDE, extras=(16,), scales=(0.2, 0.4, 0.6, 0.8, 1.0), ratios=((2,),) * 4, steps=None,
        norms_frozen=True, augmentation=SSDAugmentation(colours=False, zoom=1.0, overlaps=()), detections=8,
    ),
    "fpn": FasterRCNN(
        data=DATA, neck=FPN(16, (2, 3, 4), extra_level=False, anchor_scale=4, head_width=16, canonical_side=48),
        size=Fit(SIDE, SIDE), detections=8, **_FEW,
    ),
    "c4": FasterRCNN(data=DATA, neck=C4((16, 32), roi_size=4), size=Fit(SIDE, SIDE), detections=8, **_FEW),
}  # fmt: skip
RECIPE = Recipe(optimizer=SGD(lr=0.01), batch_size=4, steps=8)  # 2 2/3 epochs


def write_sets(root: Path, shapes: Sequence[tuple[int, int]] = ((SIDE, SIDE),)) -> None:
    """VOC2007 with `TRAINED` images to train on and `TESTED` others, and a backbone beside it.

    shapes: widths and heights, which the images have in turn.
    """
    base, draw = root / "VOCdevkit/VOC2007", np.random.default_rng(3)
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (base / name).mkdir(parents=True)
    names = [f"{i:06}" for i in range(1, TRAINED + TESTED + 1)]
    for i, name in enumerate(names):
        width, height = shapes[i % len(shapes)]
        x, y = width // 2 - 16, height // 2 - 16
        image = draw.integers(90, 166, (height, width, 3), dtype=np.uint8)
        image[y : y + 32, x : x + 32] = draw.integers(0, 256, 3)
        Image.fromarray(image).save(base / f"JPEGImages/{name}.jpg", quality=95)
        box = f"<xmin>{x + 1}</xmin><ymin>{y + 1}</ymin><xmax>{x + 32}</xmax><ymax>{y + 32}</ymax>"
        one = f"<object><name>{VOC_CLASSES[i % 3]}</name><difficult>0</difficult><bndbox>{box}</bndbox></object>"
        size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        (base / f"Annotations/{name}.xml").write_text(f"<annotation>{size}{one}</annotation>")
    for split, part in (("trainval", names[:TRAINED]), ("test", names[TRAINED:])):
        (base / f"ImageSets/Main/{split}.txt").write_text("".join(f"{name}\n" for name in part))
    torch.manual_seed(0)
    spec = Spec("timm:resnet18", num_classes=3, input_size=32, kwargs=TINY)
    network = backbone.build(spec)
    network(torch.randn(16, 3, SIDE, SIDE))  # its norms have statistics, as if it had been trained
    backbone.save(root / "start.safetensors", network, spec)


def a_job(root: Path, folder: Path, config: Transfer, fabric: Fabric) -> Job:
    """The stage's job in `folder`, which the first process opens, as the command does."""
    run = open_run(folder, {"digest": "test"}) if fabric.global_rank == 0 else None
    if fabric.world_size > 1:
        fabric.barrier()
    return Job(run or Run(folder, "test"), root, config, str(root / "start.safetensors"), fabric, "row")


@dataclass
class Trained:
    """What a run left, and the losses of the steps of this process."""

    weights: dict[str, Tensor]
    predictions: list[dict[str, Any]]
    log: str
    losses: list[float]
    more: dict[str, Any]


def train(
    root: Path, folder: Path, task: Detection, recipe: Recipe = RECIPE, fabric: Fabric | None = None, **config: Any
) -> Trained:
    """Run the stage, as a command would but for result.json: the checkpoint stays."""
    torch.set_num_threads(1)
    fabric = fabric or Fabric(accelerator="cpu", devices=1, precision=config.get("precision", "32-true"))
    losses = noted(task := copy(task))
    torch.manual_seed(5)  # the command's: a detector's new weights
    transfer = Transfer(task=task, recipe=recipe, device="cpu", test_batch_size=2, **config)
    outcome = execute(transfer, a_job(root, folder, transfer, fabric))
    if fabric.world_size > 1:
        fabric.barrier()
    return left(folder, [float(loss) for loss in losses], outcome.more)


def left(folder: Path, losses: Sequence[float] = (), more: dict[str, Any] | None = None) -> Trained:
    """What lies in a run's folder."""
    state = checkpoint.load(folder)
    assert state is not None
    predictions = json.loads((folder / "predictions.json").read_text())
    log = (folder / "metrics.jsonl").read_text()
    return Trained(state["model"], predictions, log, list(losses), more or {})


def noted(task: Detection) -> list[Tensor]:
    """The losses that this task will have, one for each micro-batch."""
    losses: list[Tensor] = []
    inner = task.loss

    def loss(model: Any, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        value, parts = inner(model, batch, generator)
        losses.append(value.detach())
        return value, parts

    object.__setattr__(task, "loss", loss)
    return losses
