"""The transfer stage: backbone -> predictions on a task -> score."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from core import atomic, backbone, loop, processes, provenance
from core.data.records import Need
from core.errors import UserError
from core.loader import Samples, on_device, train_stream
from core.recipe import Recipe
from core.seeding import derive
from core.stage import Job, Outcome, Stage
from transfer.task import Task

_log = logging.getLogger(__name__)
PREDICTIONS = "predictions.json"
REPORT = "report.json"
"""What was trained and how fast, for the result; written before the predictions."""


@dataclass(frozen=True, kw_only=True)
class Transfer(Stage):
    """A task and how to train for it."""

    task: Task
    """What the backbone is used for."""
    recipe: Recipe | None
    """How to train; None for a task without training."""
    test_batch_size: int = 64
    """Samples in a batch of the test. Part of the digest: Faster R-CNN pads a batch to its largest image, so that what
    stands beside an image changes its boxes by more than rounding."""

    def needs(self) -> tuple[Need, ...]:
        """The task's splits."""
        return self.task.needs()

    def some_unused(self) -> bool:
        """As the task says."""
        return self.task.some_unused()

    def images(self, count: Callable[[Need], int]) -> int:
        """Samples trained on, an image for each, and the test's images."""
        needs = self.needs()
        trained = self.recipe.images(self.task.samples(count(needs[0]))) if self.recipe is not None else 0
        return trained + count(needs[-1])


def execute(config: Transfer, job: Job) -> Outcome:
    """Train, predict, save the predictions, hand the backbone on, score; predictions that are there are only scored.

    In a job of several processes each calls it; the first alone writes, and alone says what was found.

    Raises:
        UserError: no backbone is given or the task cannot use it, the task refuses its data or what it is about to
            train, or the recipe does not fit.
    """
    if job.backbone is None:
        raise UserError("transfer needs --backbone: a run folder, a .safetensors file, timm:NAME or torchvision:NAME")
    task, fabric = config.task, job.fabric
    processes.agree(fabric, lambda: task.check(job.root))
    start = backbone.load(job.backbone, check=task.check_network)
    outcome = task.inapplicable(start, job.root)
    if outcome is not None:
        return outcome
    if not processes.agree(fabric, job.run.path(PREDICTIONS).is_file):
        _predict(config, job, start)
    if not fabric.is_global_zero:
        return Outcome({})
    outcome = task.score(json.loads(job.run.path(PREDICTIONS).read_text()), job.root)
    report = job.run.path(REPORT)
    about = json.loads(report.read_text()) if report.is_file() else {}  # none beside predictions of an older version
    return Outcome(outcome.metrics, {"weights": start.report, **about, **outcome.more})


def _predict(config: Transfer, job: Job, start: backbone.Backbone) -> None:
    """Train, hand the backbone on, predict; what the first process writes is on the disk when it returns."""
    task, first = config.task, job.fabric.is_global_zero
    model, tests = task.model(start, job.root).to(job.fabric.device), task.test_data(job.root)
    report, trained = _train(config, job, start, model)
    exported = task.export(model, start.spec)
    if exported is not None and first:
        network, spec = exported
        backbone.save(job.run.path(provenance.BACKBONE), network, spec)
    tested = loop.Speed()
    predictions = loop.predict(
        job,
        model,
        samples=task.prepared(tests, model, job),
        collate=task.collate,
        batch_size=config.test_batch_size,
        step=task.predict,
        speed=tested,
    )
    if not first:
        return
    _log.info("test: %s", tested)
    speed = {"test": tested.numbers(), **({} if trained is None else {"train": trained.numbers()})}
    atomic.write_json(job.run.path(REPORT), {"report": report, "speed": speed})
    atomic.write_json(job.run.path(PREDICTIONS), task.save(predictions), indent=None)


def _train(
    config: Transfer, job: Job, start: backbone.Backbone, model: nn.Module
) -> tuple[dict[str, Any], loop.Speed | None]:
    """Train in place, if there is something to train; what the task says of it, and how fast it went."""
    task, recipe, ranks = config.task, config.recipe, job.fabric.world_size
    samples = task.train_data(job.root) if recipe is not None else None
    if samples is not None and recipe is not None:
        recipe.check(len(samples), ranks)  # the loop does, but after the work and report of a training that cannot be
        samples = task.prepared(samples, model, job)
    report = task.report(model, start, recipe, ranks, 0 if samples is None else len(samples))
    if job.fabric.is_global_zero:
        for name, value in report.items():
            _log.info("%s: %s", name, value)
    if samples is None or recipe is None:
        return report, None
    parameters = task.parameters(model)
    _log.info("%s: %s images to train on", type(task).__name__, f"{len(samples):,}")
    if not report:  # else the task has told what is trained
        _log.info("trained: %s parameters", f"{sum(p.numel() for group in parameters for p in group['params']):,}")
    fitted = loop.fit(
        job, model, samples=samples, collate=task.collate, loss=task.objective(recipe, len(samples)), recipe=recipe,
        parameters=parameters,
    )  # fmt: skip
    _log.info("training: %s", fitted.speed)
    _calibrate(config, job, model, samples, recipe)
    return {**report, "rate": recipe.rule(len(samples))}, fitted.speed  # the loop has told it


@torch.no_grad()
def _calibrate(config: Transfer, job: Job, model: nn.Module, samples: Samples, recipe: Recipe) -> None:
    """Let the task estimate its statistics anew, from an epoch that the training did not come to."""
    task, fabric, count = config.task, job.fabric, config.task.calibration()
    if count == 0:
        return
    whole = max(1, len(samples) // recipe.batch_size)  # batches of an epoch, less a short last one
    first = whole * -(-recipe.total_steps(len(samples)) // recipe.steps_per_epoch(len(samples)))
    batches = train_stream(
        samples, task.collate, seed=config.seed, batch_size=recipe.batch_size, steps_per_epoch=whole, first=first,
        last=first + count, workers=config.workers, rank=fabric.global_rank, ranks=fabric.world_size,
    )  # fmt: skip
    torch.manual_seed(derive(config.seed, "calibrate", fabric.global_rank))
    with fabric.autocast():
        task.calibrate(model, (fabric.to_device(batch) for batch in on_device(batches, fabric.device)))
    if fabric.world_size > 1:
        for buffer in model.buffers():
            torch.distributed.broadcast(buffer, 0)
