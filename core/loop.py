"""The loop that all stages train with, on Lightning Fabric, and the one that they test with.

Before every step torch's generators are seeded by (seed, step, rank), so that a run that was killed and goes on from
its checkpoint, in mid-epoch too, ends with the bits of one that was not. That holds on one kind of device, where its
kernels give the same bits twice; it is measured on the CPU. A GPU's may not (cuDNN, atomic additions), nor does a run
that changes devices. docs/training.md tells the rest; the parts are in `core.training`.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from torch import nn

from core.loader import Samples, on_device, ordered_batches
from core.recipe import Recipe
from core.stage import Job
from core.training.row import AfterEpoch, BatchAware, EpochNumbers, Fitted, Loss, Row, StepAware
from core.training.speed import Speed, waited_for
from core.training.together import Together

__all__ = [
    "AfterEpoch", "BatchAware", "EpochNumbers", "Fitted", "Loss", "Row", "Speed", "StepAware", "fit", "fit_together",
    "predict",
]  # fmt: skip
T = TypeVar("T")


def fit(
    job: Job,
    model: nn.Module,
    *,
    samples: Samples,
    collate: Callable[[list[Any]], Any],
    loss: Loss,
    recipe: Recipe,
    parameters: list[dict[str, Any]],
    after_epoch: AfterEpoch | None = None,
) -> Fitted:
    """Train one `model` in place.

    Args:
        job, model, loss, recipe, parameters, after_epoch: as `Row` has them.
        samples: what to train on. collate: a list of samples to a batch (nested tensors).

    Raises:
        UserError: the loss is not finite (step and learning rate are named), the recipe does not fit the data or the
            processes, or the run's checkpoint is of another config, network or version.
        KeyboardInterrupt: a SIGTERM came; the checkpoint has all that was trained.
    """
    row = Row(job, model, loss, recipe, parameters, after_epoch)
    return fit_together([row], samples=samples, collate=collate)[0]


def fit_together(rows: Sequence[Row], *, samples: Samples, collate: Callable[[list[Any]], Any]) -> list[Fitted]:
    """Train rows side by side in place, from one stream of batches; each ends with the bits that it has alone.

    Rows that were killed at different steps catch up with each other. One of several rows that fails (a loss that is
    not finite) is logged and stops alone: its `Fitted.error` says why.

    Args:
        rows: each with its own run folder; their devices may differ.
        samples: what to train on. collate: a list of samples to a batch (nested tensors).

    Returns:
        What each row left, in their order.

    Raises:
        UserError: as `fit`, where there is one row; rows that differ in what the batches depend on.
        KeyboardInterrupt: a SIGTERM came; the checkpoints have all that was trained.
    """
    return Together(rows, samples, collate).run()


@torch.no_grad()
def predict(
    job: Job,
    model: nn.Module,
    *,
    samples: Samples,
    collate: Callable[[list[Any]], Any],
    batch_size: int,
    step: Callable[[nn.Module, Any], list[T]],
    phase: str = "test",
    speed: Speed | None = None,
) -> list[T]:
    """What `step` says of each sample, in order, in the run's precision and with the model in eval mode.

    Several processes share the batches, and each returns what all of them found, so that `step` must return plain
    values, or arrays and tensors that lie in the CPU's memory. The model's mode is put back after.

    Args:
        job, model: where, and with what. samples, collate: what on; `step` gets a batch on the job's device.
        batch_size: samples of a batch of one process. phase: what the progress calls it.
        speed: takes in how fast it went, where that is asked.
    """
    training, fabric, speed = model.training, job.fabric, speed or Speed()
    model.to(fabric.device).eval()
    batches = ordered_batches(
        samples, collate, seed=job.config.seed, batch_size=batch_size, workers=job.config.workers,
        rank=fabric.global_rank, ranks=fabric.world_size,
    )  # fmt: skip
    found: list[list[T]] = []  # of each batch of this process
    done, began = 0, time.monotonic()
    for batch in waited_for(on_device(batches, fabric.device), speed):
        with fabric.autocast():
            found.append(step(model, fabric.to_device(batch)))
        done = min(done + len(found[-1]) * fabric.world_size, len(samples))
        if fabric.global_rank == 0:
            job.run.progress(done=done, total=len(samples), phase=phase)
    speed.add(len(samples), time.monotonic() - began, 0.0)
    model.train(training)
    return [result for batch in _of_all(fabric, found) for result in batch]


def _of_all(fabric: Fabric, mine: list[T]) -> list[T]:
    """Every process's values, in the order in which they were dealt out."""
    if fabric.world_size == 1:
        return mine
    dealt: list[list[T]] = [[] for _ in range(fabric.world_size)]
    torch.distributed.all_gather_object(dealt, mine)
    longest = max(map(len, dealt))
    return [values[turn] for turn in range(longest) for values in dealt if turn < len(values)]
