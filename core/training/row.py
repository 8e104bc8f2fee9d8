"""What is trained: a row, what the loop asks of its loss, and what a training left."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.recipe import Recipe
from core.stage import Job
from core.training.speed import Speed

Loss = Callable[[nn.Module, Any, torch.Generator], tuple[Tensor, dict[str, Tensor]]]
"""(model, micro-batch, generator) -> the mean loss of its images, a scalar, and scalars to log."""
AfterEpoch = Callable[[int, nn.Module], dict[str, float]]
"""(epoch from 1, model) -> numbers of that epoch, to be logged."""


@runtime_checkable
class StepAware(Protocol):
    """A loss that changes in the course of training."""

    def begin_step(self, step: int, total: int) -> None:
        """Called before each step (from 0) of `total`, on resume too."""


@runtime_checkable
class BatchAware(Protocol):
    """A loss that works on the batch of all processes."""

    def begin_batch(self, images: int) -> None:
        """Called before each micro-batch with the number of its images over all processes."""


@runtime_checkable
class EpochNumbers(Protocol):
    """A loss that says itself how its means over an epoch are logged."""

    def epoch_numbers(self, means: dict[str, float]) -> dict[str, float]:
        """What the epoch's line of metrics.jsonl holds, from the means of "loss" and of the loss's own numbers."""


@dataclass
class Row:
    """One training: several that differ in loss, network or optimizer can share one stream of batches."""

    job: Job
    """The cell; its folder gets the checkpoints, metrics.jsonl and the progress."""
    model: nn.Module
    """Trained in place; moved to the job's device."""
    loss: Loss
    """The generator that it gets is seeded by (seed, step). It must not write into the batch, which rows share. May be
    `StepAware` and `BatchAware`, and have `EpochNumbers`."""
    recipe: Recipe
    """Length, batch size, optimizer, schedule."""
    parameters: list[dict[str, Any]]
    """The optimizer's groups; "lr_scale" in one multiplies the learning rate."""
    after_epoch: AfterEpoch | None = None
    """Called with the epoch (from 1) and the model after each epoch and after the last step, where that is within one;
    what it returns is logged and kept in the history. A run that was killed meanwhile calls it again, with the same
    weights. Of several processes every one calls it."""


@dataclass
class Fitted:
    """What a training left: its steps, and what was said of each epoch."""

    steps: int
    history: list[dict[str, float]] = field(default_factory=list)
    error: UserError | None = None
    """Why the row stopped before its end, where others of its stream went on; None: it is finished."""
    speed: Speed = field(default_factory=Speed, compare=False)
    """Of its steps, those of killed processes before this one included."""
