"""The transfer stage: backbone -> predictions on a task -> score."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core import atomic, backbone, loop, provenance
from core.data.records import Need
from core.errors import UserError
from core.recipe import Recipe
from core.stage import Job, Outcome, Stage
from transfer.task import Task

_log = logging.getLogger(__name__)
PREDICTIONS = "predictions.json"


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

    def images(self, count: Callable[[Need], int]) -> int:
        """Samples trained on, an image for each, and the test's images."""
        needs = self.needs()
        trained = self.recipe.images(self.task.samples(count(needs[0]))) if self.recipe is not None else 0
        return trained + count(needs[-1])


def execute(config: Transfer, job: Job) -> Outcome:
    """Train, predict, save the predictions, hand the backbone on, score; predictions that are there are only scored."""
    if job.backbone is None:
        raise UserError("transfer needs --backbone: a run folder, a .safetensors file, timm:NAME or torchvision:NAME")
    task, start = config.task, backbone.load(job.backbone)
    outcome = task.inapplicable(start, job.root)
    if outcome is not None:
        return outcome
    path = job.run.path(PREDICTIONS)
    saved = json.loads(path.read_text()) if path.is_file() else _predictions(config, job, start)
    outcome = task.score(saved, job.root)
    return Outcome(outcome.metrics, {"weights": start.report, **outcome.more})


def _predictions(config: Transfer, job: Job, start: backbone.Backbone) -> Any:
    task, recipe = config.task, config.recipe
    model = task.model(start, job.root).to(job.fabric.device)
    samples = task.train_data(job.root)
    if samples is not None and recipe is not None:
        parameters = task.parameters(model)
        trained = sum(p.numel() for group in parameters for p in group["params"])
        _log.info(
            "%s: %s images, %s steps of %d at lr %g, %s trained parameters",
            *(type(task).__name__, f"{len(samples):,}", f"{recipe.total_steps(len(samples)):,}", recipe.batch_size),
            *(recipe.base_lr, f"{trained:,}"),
        )
        loop.fit(
            job, model, samples=samples, collate=task.collate, loss=task.loss, recipe=recipe, parameters=parameters
        )
    exported = task.export(model, start.spec)
    if exported is not None:
        network, spec = exported
        backbone.save(job.run.path(provenance.BACKBONE), network, spec)
    predictions = loop.predict(
        job,
        model,
        samples=task.test_data(job.root),
        collate=task.collate,
        batch_size=config.test_batch_size,
        step=task.predict,
    )
    saved = task.save(predictions)
    atomic.write_json(job.run.path(PREDICTIONS), saved, indent=None)
    return saved
