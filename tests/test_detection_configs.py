"""Every detection config trains a step, scaled down and not replaced, and says what its sources say.

Scaled down: small images, few anchors and regions, an untrained small backbone; the config's own task, neck, sampling,
augmentation, freezing, optimizer and schedule.
"""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from core.config import CONFIGS, digest, load, plain
from core.loader import train_batches
from core.recipe import SGD
from core.resnet import trunk
from eval.references import References
from tests.transfer.detection_cases import backbone, scenes
from tests.transfer_configs import config_of, docstring_of, recipe_of
from transfer.stage import Transfer
from transfer.tasks.detection.data import Batch, Fit
from transfer.tasks.detection.task import Detection
from transfer.tasks.faster_rcnn import C4, FasterRCNN

STEMS = sorted(p.stem for p in (CONFIGS / "transfer").glob("*.py") if re.search("voc_|coco_frcnn", p.stem))
PUBLISHED = [stem for stem in STEMS if not stem.startswith(("mini_", "quick_"))]


def _config(stem: str) -> Transfer:
    config = config_of(stem)
    assert isinstance(config.task, Detection)
    return config


def _small(task: Detection) -> Detection:
    if not isinstance(task, FasterRCNN):
        return task
    neck = replace(task.neck, anchors=(16, 32, 64)) if isinstance(task.neck, C4) else task.neck
    return replace(
        task,
        neck=neck,
        size=Fit(64, 96),
        train_shorts=(64, 80) if task.train_shorts else (),
        anchors_per_image=32,
        regions_per_image=16,
        candidates=(64, 32),
        proposals=(32, 16),
    )


def _root(folder: Path) -> Path:
    """A data root with as many of COCO's files as the names of its classes need."""
    annotations = folder / "coco" / "annotations"
    annotations.mkdir(parents=True)
    categories = [{"id": 2 * i + 1, "name": f"class {i}"} for i in range(80)]
    images = [{"id": 1, "file_name": "1.jpg", "width": 10, "height": 10}]
    text = json.dumps({"images": images, "categories": categories, "annotations": []})
    for split in ("train2017", "val2017"):
        (annotations / f"instances_{split}.json").write_text(text)
        (folder / "coco" / split).mkdir()
    return folder


def _batch(task: Detection, folder: Path) -> Batch:
    """One batch of two augmented images, as the loop takes it."""
    (batch,) = train_batches(
        task.train_samples(scenes(folder)[:2]), task.collate, seed=0, epoch=0, batch_size=2, first=0, count=1
    )
    assert isinstance(batch, Batch)
    return batch


@pytest.mark.parametrize("stem", STEMS)
def test_a_scaled_down_detection_trains_a_step(stem: str, tmp_path: Path) -> None:
    config, recipe = _config(stem), recipe_of(stem)
    assert isinstance(config.task, Detection)
    task, net = _small(config.task), backbone()
    for norm in _norms(net.model):
        nn.init.ones_(norm.weight)  # timm starts a block's last norm at 0: nothing before it would get a gradient
    body = trunk(net.model)
    parts = [body.stem, body.layer1, body.layer2, body.layer3, body.layer4]
    kept = sum(len(_norms(part)) for part in (parts if task.norms_frozen else parts[: task.freeze_at]))
    model = task.model(net, _root(tmp_path)).train()
    extra = isinstance(task, FasterRCNN) and isinstance(task.neck, C4) and task.neck.extra_norm
    live = sum(norm.training for norm in _norms(model))
    assert len(_norms(model)) - live == kept, "norms in evaluation mode while the rest trains"
    assert (live > 0) == (extra or not task.norms_frozen)
    fixed = [tensor for part in parts[: task.freeze_at] for tensor in part.parameters()]
    before = [tensor.detach().clone() for tensor in fixed]
    optimizer = recipe.optimizer.build(task.parameters(model))
    trained = [p for group in optimizer.param_groups for p in group["params"]]
    assert not {id(p) for p in fixed} & {id(p) for p in trained}
    start = [p.detach().clone() for p in trained]
    torch.manual_seed(0)
    loss, numbers = task.loss(model, _batch(task, tmp_path), torch.Generator().manual_seed(0))
    torch.autograd.backward(loss)
    optimizer.step()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(number) for number in numbers.values())
    assert all(torch.equal(now, then) for now, then in zip(fixed, before, strict=True)), "a fixed part stays"
    moved = {id(now) for now, then in zip(trained, start, strict=True) if not torch.equal(now.detach(), then)}
    assert len(moved) > 0.75 * len(trained), "what is trained moves"
    for part in parts[task.freeze_at :]:
        assert any(id(p) in moved for p in part.parameters()), "a part that is not fixed is trained"


def _norms(net: nn.Module) -> list[nn.BatchNorm2d]:
    return [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]


@pytest.mark.parametrize("stem", STEMS)
def test_a_detection_config_says_its_batch_source_command_and_number(stem: str) -> None:
    recipe, said = recipe_of(stem), docstring_of(stem)
    assert recipe.lr_batch == recipe.batch_size, "the rate belongs to the batch that the config has"
    assert recipe.scale_steps == (recipe.steps is not None)
    assert recipe.base_lr == recipe.optimizer.lr
    assert " Source: " in said
    assert f"configs/transfer/{stem}.py --backbone" in said
    assert " Expected" in said


@pytest.mark.parametrize("stem", PUBLISHED)
def test_the_arithmetic_of_a_docstring(stem: str) -> None:
    """Steps x batch / images is the number of epochs that the docstring states."""
    config, recipe = _config(stem), recipe_of(stem)
    assert isinstance(config.task, Detection)
    images = config.task.data.published("train")
    stated = re.search(r"([\d.]+) epochs", docstring_of(stem))
    assert stated is not None
    digits = len(stated[1].partition(".")[2])
    assert round((recipe.steps or 0) * recipe.batch_size / images, digits) == float(stated[1])


def test_no_two_detection_configs_are_the_same() -> None:
    digests = [digest(plain(_config(stem), hashed_only=True)) for stem in STEMS]
    assert len(set(digests)) == len(digests)


# stem: steps, batch, rate, weight decay, marks, warm-up; by the sources that the docstrings name.
SCHEDULES: dict[str, tuple[Any, ...]] = {
    "voc_ssd": (120_000, 32, 1e-3, 5e-4, (80_000, 100_000), 0),
    "voc_ssd_short": (30_000, 32, 1e-3, 5e-4, (20_000, 25_000), 0),
    "voc_frcnn": (120_000, 8, 0.01, 1e-4, (100_000,), 0),
    "voc_frcnn_short": (30_000, 8, 0.01, 1e-4, (25_000,), 0),
    "voc_frcnn_moco": (24_000, 16, 0.02, 1e-4, (18_000, 22_000), 100),
    "voc_frcnn_moco_short": (6_000, 16, 0.02, 1e-4, (4_500, 5_500), 100),
    "voc_frcnn_zoo_c4": (18_000, 16, 0.02, 1e-4, (12_000, 16_000), 100),
    "voc_frcnn_zoo_fpn": (18_000, 16, 0.02, 1e-4, (12_000, 16_000), 100),
    "coco_frcnn": (90_000, 16, 0.02, 1e-4, (60_000, 80_000), 1_000),
    "coco_frcnn_c4": (90_000, 16, 0.02, 1e-4, (60_000, 80_000), 1_000),
    "coco_frcnn_short": (22_500, 16, 0.02, 1e-4, (15_000, 20_000), 1_000),
}


def test_every_published_recipe_has_its_schedule_below() -> None:
    assert sorted(SCHEDULES) == PUBLISHED


@pytest.mark.parametrize("stem", PUBLISHED)
def test_rates_fall_where_the_source_says(stem: str) -> None:
    steps, batch, rate, decay, marks, warmup = SCHEDULES[stem]
    recipe = recipe_of(stem)
    assert isinstance(recipe.optimizer, SGD)
    assert (recipe.optimizer.momentum, recipe.optimizer.weight_decay) == (0.9, decay)
    assert (recipe.total_steps(16_551), recipe.batch_size, recipe.warmup) == (steps, batch, warmup)
    for step in {warmup, *marks, *(mark - 1 for mark in marks), steps - 1}:
        expected = rate * 0.1 ** sum(step >= mark for mark in marks)
        assert recipe.lr(step, 16_551) == pytest.approx(expected), step
    if warmup:
        assert recipe.lr(warmup // 2 - 1, 16_551) == pytest.approx(rate / 2)


@pytest.mark.parametrize("stem", PUBLISHED)
def test_fewer_images_a_step_are_more_steps(stem: str) -> None:
    """The rule that the docs give for fewer GPUs, from the command line's one field."""
    half = replace(recipe_of(stem), batch_size=recipe_of(stem).batch_size // 2)
    steps, _, rate, _, marks, _ = SCHEDULES[stem]
    assert half.total_steps(16_551) == 2 * steps
    assert half.lr(2 * marks[0] - 1, 16_551) == pytest.approx(rate / 2)
    assert half.lr(2 * marks[0], 16_551) == pytest.approx(rate / 20)


ROWS = ("Baseline", "Mixup", "Cutout", "CutMix")
NUMBERS = {
    "voc_ssd": [("voc_ssd", rf"{row.lower()} ([\d.]+)", row) for row in ROWS],
    "voc_frcnn": [("voc_frcnn", rf"{row.lower()} ([\d.]+)", row) for row in ROWS],
    "coco_frcnn": [("coco_ap", rf"{row.lower()} ([\d.]+)", row) for row in ROWS],
    "coco_frcnn_c4": [("coco_ap", rf"{row.lower()} ([\d.]+)", row) for row in ROWS],
    "voc_frcnn_moco": [(f"moco_{name}", rf"\b{name} ([\d.]+)", "Baseline") for name in ("ap50", "ap", "ap75")],
    "voc_frcnn_zoo_c4": [(f"zoo_c4_{name}", rf"\b{name} ([\d.]+)", "Baseline") for name in ("ap50", "ap")],
}


@pytest.mark.parametrize("stem", NUMBERS)
def test_a_docstring_and_the_references_give_the_same_number(stem: str) -> None:
    references = load("references/detection")
    assert isinstance(references, References)
    expected = docstring_of(stem).lower().rpartition("expected")[2]
    for column, pattern, row in NUMBERS[stem]:
        found = re.search(pattern, expected)
        assert found is not None, pattern
        assert float(found[1].rstrip(".")) == references.column(column).values[row]


def test_the_papers_columns_are_the_same_in_both_references() -> None:
    ours, papers = load("references/detection"), load("references/cutmix_paper")
    for name in ("voc_ssd", "voc_frcnn"):
        assert ours.column(name).values == papers.column(name).values
