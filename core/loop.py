"""The loop that all stages train with, on Lightning Fabric, and the one that they test with.

Before every step torch's generators are seeded by (seed, step, rank), so that a run that was killed and goes on from
its checkpoint, in mid-epoch too, ends with the bits of one that was not. That holds on one kind of device, where its
kernels give the same bits twice; it is measured on the CPU. A GPU's may not (cuDNN, atomic additions), nor does a run
that changes devices.
"""

import logging
import math
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from core import checkpoint
from core.errors import UserError
from core.loader import Samples, ordered_batches, train_batches
from core.recipe import Recipe
from core.seeding import derive
from core.stage import Job

_log = logging.getLogger(__name__)
T = TypeVar("T")
Loss = Callable[[nn.Module, Any, torch.Generator], tuple[Tensor, dict[str, Tensor]]]
AfterEpoch = Callable[[int, nn.Module], dict[str, float]]
_SAVED = {"step", "due", "history", "shown", "model", "optimizer", "precision", "log_size"}
_LOOK_EVERY_CUDA = 25  # steps between looks at the loss where a look waits for the device


@dataclass
class Fitted:
    """What a training left: its steps, and what `after_epoch` said of each epoch."""

    steps: int
    history: list[dict[str, float]] = field(default_factory=list)


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
    """Train `model` in place.

    Args:
        job: the cell; its folder gets the checkpoints, metrics.jsonl and the progress.
        model: moved to the job's device.
        samples: what to train on. collate: a list of samples to a batch (nested tensors).
        loss: (model, batch, generator) -> a scalar, and numbers to log. The generator is seeded by (seed, step).
        recipe: length, batch size, optimizer, schedule.
        parameters: the optimizer's groups; "lr_scale" in one multiplies the learning rate.
        after_epoch: called with the epoch (from 1) and the model after each epoch and after the last step, where that
            is within one; what it returns is logged and kept in the history. A run that was killed meanwhile calls it
            again, with the same weights.

    Raises:
        UserError: the loss is not finite (step and learning rate are named), or there is nothing to train on.
    """
    if len(samples) == 0:
        raise UserError("nothing to train on: the training split has no samples")
    return _Fit(job, model, samples, collate, loss, recipe, parameters, after_epoch).run()


class _Fit:
    """One training under way."""

    def __init__(
        self,
        job: Job,
        model: nn.Module,
        samples: Samples,
        collate: Callable[[list[Any]], Any],
        loss: Loss,
        recipe: Recipe,
        parameters: list[dict[str, Any]],
        after_epoch: AfterEpoch | None,
    ) -> None:
        self.job, self.samples, self.collate, self.loss, self.recipe = job, samples, collate, loss, recipe
        self.after_epoch, self.plain = after_epoch, model
        groups = [{"lr_scale": 1.0, **group} for group in parameters]
        self.model, self.optimizer = job.fabric.setup(model, recipe.optimizer.build(groups))
        self.total = recipe.total_steps(len(samples))
        self.per_epoch = recipe.steps_per_epoch(len(samples))
        self.step = 0
        self.history: list[dict[str, float]] = []
        self.recent: list[tuple[int, float, Tensor]] = []  # (step, learning rate, loss) not looked at yet
        self.shown = math.nan
        self.look_every = _LOOK_EVERY_CUDA if job.fabric.device.type == "cuda" else 1
        self.due = False  # whether after_epoch is to say something of what was trained last
        self.stop = False
        self.stop_at_once = False  # where a checkpoint holds all that there is
        self.saved = time.monotonic()

    def run(self) -> Fitted:
        """Train from the checkpoint, or from the start, to the end."""
        self._resume()
        before = signal.getsignal(signal.SIGTERM)
        try:
            signal.signal(signal.SIGTERM, self._on_sigterm)
        except ValueError:  # not the main thread: then whoever owns it sees to signals
            before = None
        try:
            while self.due or self.step < self.total:
                if not self.due:
                    self._epoch()
                self._after_epoch()
        finally:
            if before is not None:
                signal.signal(signal.SIGTERM, before)
        return Fitted(self.step, self.history)

    def _epoch(self) -> None:
        epoch, first = divmod(self.step, self.per_epoch)
        last = min(self.per_epoch, self.total - epoch * self.per_epoch)
        self.model.train()
        for batch in self._batches(epoch, first, last - first):
            self._one_step(batch)
            if self.step % self.per_epoch and self.step < self.total:
                self._save_if_due()
        self._look()
        self.due = self.after_epoch is not None

    def _after_epoch(self) -> None:
        """Say something of the epoch. Its training is saved before, so that a kill meanwhile repeats none of it."""
        if self.due:
            assert self.after_epoch is not None
            epoch = -(-self.step // self.per_epoch)
            self._save()
            self.stop_at_once = True
            self._stop_if_asked()
            said = self.after_epoch(epoch, self.plain)
            self.stop_at_once = False
            self.history.append({"epoch": epoch, **said})
            self.job.run.log(step=self.step, **self.history[-1])
            self.due = False
        self._save_if_due()

    def _batches(self, epoch: int, first: int, count: int) -> Iterator[Any]:
        return train_batches(
            self.samples,
            self.collate,
            seed=self.job.config.seed,
            epoch=epoch,
            batch_size=self.recipe.batch_size,
            first=first,
            count=count,
            workers=self.job.config.workers,
            rank=self.job.fabric.global_rank,
            ranks=self.job.fabric.world_size,
        )

    def _one_step(self, batch: Any) -> None:
        seed = self.job.config.seed
        torch.manual_seed(derive(seed, "step", self.step, self.job.fabric.global_rank))
        generator = torch.Generator().manual_seed(derive(seed, "mixing", self.step))
        lr = self.recipe.lr(self.step, len(self.samples))
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["lr_scale"]
        value, numbers = self.loss(self.model, self.job.fabric.to_device(batch), generator)
        self.recent.append((self.step, lr, value.detach()))
        if len(self.recent) >= self.look_every:
            self._look()
        self.job.fabric.backward(value)
        if self.recipe.clip_norm is not None:
            self.job.fabric.clip_gradients(self.model, self.optimizer, max_norm=self.recipe.clip_norm)
        elif self.recipe.clip_value is not None:
            self.job.fabric.clip_gradients(self.model, self.optimizer, clip_val=self.recipe.clip_value)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self._show(lr, numbers)

    def _look(self) -> None:
        """Refuse a loss that is not finite; on CUDA every few steps, since a look waits for the device."""
        if not self.recent:
            return
        for (step, lr, _), value in zip(self.recent, torch.stack([x for *_, x in self.recent]).tolist(), strict=True):
            if not math.isfinite(value):
                raise UserError(
                    f"the loss is {value} at step {step} of {self.total} (learning rate {lr:.4g}); "
                    "nothing of this step is kept. A smaller learning rate, a longer warm-up or clip_norm may help"
                )
            self.shown = value if math.isnan(self.shown) else 0.9 * self.shown + 0.1 * value
        self.recent.clear()

    def _show(self, lr: float, numbers: dict[str, Tensor]) -> None:
        batch = min(self.recipe.batch_size, len(self.samples))
        self.job.run.progress(done=self.step * batch, total=self.total * batch, phase="train", loss=self.shown)
        if self.step % 50 == 0 or self.step == self.total:
            extra = {name: float(tensor) for name, tensor in numbers.items()}
            self.job.run.log(step=self.step, lr=lr, loss=self.shown, **extra)

    def _on_sigterm(self, *_: object) -> None:
        self.stop = True
        if self.stop_at_once:
            raise KeyboardInterrupt

    def _stop_if_asked(self) -> None:
        if self.stop:
            raise KeyboardInterrupt

    def _save_if_due(self) -> None:
        due = time.monotonic() - self.saved >= self.job.config.checkpoint_every
        if due or self.stop or self.step == self.total:
            self._save()
            self._stop_if_asked()

    def _save(self) -> None:
        self.saved = time.monotonic()
        self._look()
        state = {"step": self.step, "due": self.due, "history": self.history, "shown": self.shown}
        weights = {"model": self.plain.state_dict(), "optimizer": self.optimizer.state_dict()}
        scaler = {"precision": self.job.fabric.strategy.precision.state_dict()}  # 16-mixed scales the loss; others: {}
        if self.job.fabric.global_rank == 0:
            log = {"log_size": self.job.run.log_size}
            checkpoint.save(self.job.run.folder, {**state, **weights, **scaler, **log})

    def _resume(self) -> None:
        state = checkpoint.load(self.job.run.folder)
        if state is not None and (lacking := _SAVED - state.keys()):
            raise UserError(
                f"{self.job.run.folder}: its checkpoint lacks {', '.join(sorted(lacking))}: another version of this "
                "code wrote it; --force starts the run anew"
            )
        self.job.run.keep_log(state["log_size"] if state else 0)
        if state is None:
            return
        self.plain.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.job.fabric.strategy.precision.load_state_dict(state["precision"])
        self.step, self.due, self.history, self.shown = (state[key] for key in ("step", "due", "history", "shown"))
        _log.info("goes on from step %d of %d", self.step, self.total)


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
) -> list[T]:
    """What `step` says of each sample, in order, in the run's precision and with the model in eval mode.

    The mode is put back after.
    """
    training = model.training
    model.to(job.fabric.device).eval()
    results: list[T] = []
    batches = ordered_batches(samples, collate, seed=job.config.seed, batch_size=batch_size, workers=job.config.workers)
    for batch in batches:
        with job.fabric.autocast():
            results += step(model, job.fabric.to_device(batch))
        job.run.progress(done=len(results), total=len(samples), phase=phase)
    model.train(training)
    return results
