"""One row under way: its steps, its losses, its checkpoints."""

import logging
import math
from dataclasses import asdict
from typing import Any, cast

import torch
from torch import Tensor, nn

from core import checkpoint, processes
from core.errors import UserError
from core.seeding import derive
from core.training.average import Average
from core.training.row import BatchAware, EpochNumbers, Fitted, Row, StepAware
from core.training.speed import Speed

_log = logging.getLogger(__name__)
_SAVED = {
    "step", "due", "history", "shown", "sums", "digest", "model", "optimizer", "precision", "average", "log_size",
}  # fmt: skip
_LOOK_EVERY_CUDA = 25  # steps between looks at the loss where a look waits for the device
_LOG_EVERY = 50  # steps between lines in metrics.jsonl; a multiple of the steps between looks
_IMAGES = "#images"  # beside the sums of a loss's numbers, whose names are its own


class Trainee:
    """A row with its place in the training. `core.training.together` hands it the batches."""

    def __init__(self, row: Row, samples: int) -> None:
        self.row, self.samples, self.recipe = row, samples, row.recipe
        self.fabric, self.run, self.seed = row.job.fabric, row.job.run, row.job.config.seed
        self.recipe.check(samples, self.fabric.world_size)
        if self.recipe.sync_batchnorm and self.fabric.world_size > 1:
            _synchronise(row.model, self.fabric.device)
        groups = [{"lr_scale": 1.0, **group} for group in row.parameters]
        # Each shape by itself: else one short batch leaves all that follow to kernels for any shape.
        forward = cast("nn.Module", torch.compile(row.model, dynamic=False)) if row.job.config.compile else row.model
        self.model, self.optimizer = self.fabric.setup(forward, self.recipe.optimizer.build(groups))
        self.average = None if self.recipe.ema_decay is None else Average(row.model, self.recipe.ema_decay)
        loss: object = row.loss
        self.step_aware = loss if isinstance(loss, StepAware) else None
        self.batch_aware = loss if isinstance(loss, BatchAware) else None
        self.epoch_numbers = loss.epoch_numbers if isinstance(loss, EpochNumbers) else _of_training
        self.total = self.recipe.total_steps(samples)
        self.per_epoch = self.recipe.steps_per_epoch(samples)
        self.look_every = _LOOK_EVERY_CUDA if self.fabric.device.type == "cuda" else 1
        self.step = 0
        self.first_step = True
        """Whether this process has yet to take a step."""
        self.due = False
        """Whether after_epoch is to say something of what was trained last."""
        self.error: UserError | None = None
        self.saved_step = -1  # of the newest checkpoint
        self.history: list[dict[str, float]] = []
        self.speed = Speed()
        self.shown = math.nan
        self.sums: dict[str, float] = {}
        """Of this epoch: image-weighted sums of "loss" and the loss's numbers, and the images."""
        self.numbers: dict[str, float] = {}  # the newest step's
        self.smooth: dict[str, float] = {}  # the same, averaged over some steps: a bar that jumps tells nothing
        self._lr = 0.0
        self._generator = torch.Generator()
        self._parts: dict[str, Tensor] = {}  # of the step under way: share-weighted sums over its micro-batches
        self._recent: list[tuple[int, float, dict[str, Tensor]]] = []  # steps not looked at yet
        self._ended: torch.cuda.Event | None = None  # of the newest work, where the device may lag behind
        self._tell_rate()

    def _tell_rate(self) -> None:
        """Rate, batch and length in force, in every stage: `lr_batch` may have changed the config's."""
        if self.fabric.global_rank == 0:
            _log.info("%s: %s", self.run.folder, self.recipe.rule(self.samples))

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do, or nothing can be done."""
        return self.error is not None or (self.step >= self.total and not self.due)

    def looks_at(self, taken: int) -> bool:
        """Whether the losses are read once so many steps are taken."""
        return taken % self.look_every == 0 or taken % self.per_epoch == 0 or taken == self.total

    @property
    def busy(self) -> bool:
        """Whether the device still has something to do: on CUDA this process may be steps ahead of it."""
        return self._ended is not None and not self._ended.query()  # type: ignore[no-untyped-call, unused-ignore]

    def train_on(self, batch: Any, part: int, images: int, last: bool) -> None:
        """Forward and backward on a micro-batch; after the last one, the step.

        Args:
            batch: this process's part of it, on the row's device.
            part: its number within the step, from 0.
            images: of it, over all processes.
            last: whether the step ends with it.
        """
        if part == 0:
            self._begin_step()
        if self.batch_aware is not None:
            self.batch_aware.begin_batch(images)
        rank, ranks = self.fabric.global_rank, self.fabric.world_size
        # The mean over processes, which losses and gradients get, is the mean over images where all hold as many.
        evenly = len(range(rank, images, ranks)) * ranks / images
        share = images / self.images(self.step) * evenly
        # The first micro-batch has the seed that a whole batch has.
        seeds = (self.step, rank) if part == 0 else (self.step, rank, part)
        torch.manual_seed(derive(self.seed, "step", *seeds))
        with self.fabric.no_backward_sync(self.model, enabled=not last):
            value, numbers = self.row.loss(self.model, batch, self._generator)
            value = value if share == 1.0 else value * share
            self._add(value, numbers, share)
            if last:
                self._end_of_losses()
            self.fabric.backward(value)
        if last and self.first_step:
            self._refuse_unused()
        if last:
            self._end_step()
        if self.fabric.device.type == "cuda":
            self._ended = torch.cuda.current_stream(self.fabric.device).record_event()

    def _begin_step(self) -> None:
        self._lr = self.recipe.lr(self.step, self.samples)
        for group in self.optimizer.param_groups:
            group["lr"] = self._lr * group["lr_scale"]
        self._generator.manual_seed(derive(self.seed, "mixing", self.step))
        if self.step_aware is not None:
            self.step_aware.begin_step(self.step, self.total)

    def _add(self, value: Tensor, numbers: dict[str, Tensor], share: float) -> None:
        parts = {name: number.detach() * share for name, number in numbers.items()}
        parts["loss"] = value.detach()
        self._parts = {name: self._parts[name] + part if name in self._parts else part for name, part in parts.items()}

    def _end_of_losses(self) -> None:
        """Comes before the last backward, so that a loss that is looked at and not finite leaves the weights alone."""
        self._recent.append((self.step, self._lr, self._parts))
        self._parts = {}
        if self.looks_at(self.step + 1):
            self.look()

    def _refuse_unused(self) -> None:
        """Processes wait for every parameter's gradient: one that gets none would leave others unshared, silently."""
        if self.fabric.world_size == 1 or self.row.job.config.some_unused():
            return
        wanted = {name: p for name, p in self.row.model.named_parameters() if p.requires_grad}
        if unused := [name for name, parameter in wanted.items() if parameter.grad is None]:
            raise UserError(
                f"{len(unused)} of {len(wanted)} parameters that are to be trained have no part in the loss "
                f"({', '.join(unused[:3])}): several processes cannot train them. Freeze them (requires_grad=False) or "
                "train in one process"
            )

    def _end_step(self) -> None:
        if self.recipe.clip_norm is not None:
            # A norm that is not finite is left to the look: to ask here would wait for the device at every step.
            self.fabric.clip_gradients(
                self.model, self.optimizer, max_norm=self.recipe.clip_norm, error_if_nonfinite=False
            )
        elif self.recipe.clip_value is not None:
            self.fabric.clip_gradients(self.model, self.optimizer, clip_val=self.recipe.clip_value)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.first_step = False
        if self.average is not None:
            self.average.update()
        if self.step % self.per_epoch == 0 or self.step == self.total:
            self.due = self.row.after_epoch is not None
            if not self.due:
                self.sums = {}

    def look(self) -> None:
        """Read the losses of the steps since the last look, and refuse one that is not finite."""
        if not self._recent:
            return
        values = iter(self._read([part for *_, parts in self._recent for part in parts.values()]))
        recent = [(step, lr, {name: next(values) for name in parts}) for step, lr, parts in self._recent]
        self._recent = []
        for step, lr, numbers in recent:
            if not math.isfinite(numbers["loss"]):
                raise UserError(
                    f"the loss is {numbers['loss']} at step {step} of {self.total} (learning rate {lr:.4g}); "
                    "nothing of this step is kept. A smaller learning rate, a longer warm-up or clip_norm may help"
                )
            self._take_in(step, numbers)

    def _read(self, tensors: list[Tensor]) -> list[float]:
        """Scalars as numbers, means over the processes: one wait for the device, one message."""
        device = self.fabric.device
        stacked = torch.stack([tensor.reshape(()).to(device, torch.float32, non_blocking=True) for tensor in tensors])
        if self.fabric.world_size > 1:
            stacked = cast("Tensor", self.fabric.all_reduce(stacked, reduce_op="mean"))
        return [float(value) for value in stacked.tolist()]

    def _take_in(self, step: int, numbers: dict[str, float]) -> None:
        images = self.images(step)
        for name, value in [*numbers.items(), (_IMAGES, 1.0)]:
            self.sums[name] = self.sums.get(name, 0.0) + value * images
        loss = numbers.pop("loss")
        self.numbers = numbers
        self.smooth = {name: 0.9 * self.smooth.get(name, value) + 0.1 * value for name, value in numbers.items()}
        self.shown = loss if math.isnan(self.shown) else 0.9 * self.shown + 0.1 * loss

    def images(self, step: int) -> int:
        """Images in a step's batch, over all processes."""
        return min(self.recipe.batch_size, self.samples - step % self.per_epoch * self.recipe.batch_size)

    def show(self, data_wait: float) -> None:
        """Say how far the row is; `data_wait` is the share of the time that was spent waiting for batches."""
        if self.fabric.global_rank != 0:
            return
        done, total = (self.recipe.images_in(steps, self.samples) for steps in (self.step, self.total))
        known = {} if math.isnan(self.shown) else {"loss": self.shown}  # on CUDA some steps pass before the first look
        values: dict[str, Any] = {**known, "data_wait": data_wait, **self.smooth}
        self.run.progress(done=done, total=total, phase="train", **values)
        if self.step % _LOG_EVERY == 0 or self.step == self.total:
            self.run.log(step=self.step, lr=self._lr, loss=self.shown, **self.numbers)

    def validate(self) -> None:
        """Let `after_epoch` say something of the epoch, with the averaged weights where there are such."""
        assert self.row.after_epoch is not None
        epoch = -(-self.step // self.per_epoch)
        torch.manual_seed(derive(self.seed, "after", self.step, self.fabric.global_rank))
        if self.average is None:
            self._same_buffers()
            said = self.row.after_epoch(epoch, self.row.model)
        else:
            with self.average.in_place():
                self._same_buffers()
                said = self.row.after_epoch(epoch, self.row.model)
        images = self.sums.pop(_IMAGES)
        means = {name: total / images for name, total in self.sums.items()}
        self.sums = {}
        self.history.append({"epoch": epoch, **self.epoch_numbers(means), **said})
        if self.fabric.global_rank == 0:
            self.run.log(step=self.step, **self.history[-1])
        self.due = False
        self.saved_step = -1

    def _same_buffers(self) -> None:
        """Every process has the first one's batch statistics, which are those that are saved."""
        if self.fabric.world_size > 1:
            for buffer in self.row.model.buffers():
                torch.distributed.broadcast(buffer, 0)

    def finish(self) -> Fitted:
        """What the row left; its model now has the weights to keep, the same in every process."""
        if self.average is not None and self.error is None:
            self.average.give()
        self._same_buffers()
        return Fitted(self.step, self.history, self.error, self.speed)

    def save(self) -> None:
        """Write a checkpoint; nothing where the newest one is of this very moment.

        Raises:
            UserError: the loss or a weight is not finite: then the checkpoint before is left. OSError: a full disk.
        """
        if self.saved_step == self.step:
            return
        self.look()
        weights = self.row.model.state_dict()
        bad = [name for name, tensor in self.row.model.named_parameters() if not bool(tensor.isfinite().all())]
        if bad:
            raise UserError(
                f"weights are not finite after step {self.step} of {self.total} (learning rate {self._lr:.4g}): "
                f"{', '.join(bad[:3])}; the checkpoint before is left. A smaller learning rate or clip_norm may help"
            )
        if self.fabric.global_rank == 0:
            state = {name: getattr(self, name) for name in ("step", "due", "history", "shown", "sums")}
            tensors = {"model": weights, "optimizer": self.optimizer.state_dict()}
            scaler = self.fabric.strategy.precision.state_dict()  # 16-mixed scales the loss; others: {}
            more = {"precision": scaler, "average": self.average.tensors if self.average is not None else {}}
            about = {"digest": self.run.digest, "log_size": self.run.log_size, "processes": self.fabric.world_size}
            checkpoint.save(self.run.folder, {**state, **tensors, **more, **about, "speed": asdict(self.speed)})
        self.saved_step = self.step

    def resume(self) -> None:
        """Go on from the newest checkpoint that can be read, or start.

        Raises:
            UserError: the checkpoint is another code version's, config's or network's, or none of two can be read.
        """
        state = processes.agree(self.fabric, lambda: checkpoint.load(self.run.folder))
        if state is not None:
            self._refuse_others(state)
        if self.fabric.global_rank == 0:
            self.run.keep_log(state["log_size"] if state else 0)
        if state is None:
            return
        self._tell_other_processes(state)
        try:
            self.row.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            what = " ".join(str(error).split())[:300]
            raise UserError(
                f"{self.run.folder}: its checkpoint is of another network or optimizer ({what}); "
                "--force starts the run anew"
            ) from error
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        if self.average is not None:
            self.average.load(state["average"])
        for name in ("step", "due", "history", "shown", "sums"):
            setattr(self, name, state[name])
        self.speed = Speed(**state.get("speed", {}))  # not saved before it was measured
        self.saved_step = self.step
        _log.info("%s: goes on from step %d of %d", self.run.folder, self.step, self.total)

    def _tell_other_processes(self, state: dict[str, Any]) -> None:
        """A run may go on with another number of processes, but not to the same numbers."""
        before, now = state.get("processes"), self.fabric.world_size  # None: of before the number was saved
        if before not in (None, now) and self.fabric.global_rank == 0:
            _log.warning(
                "%s: its checkpoint was written with processes=%d, this is processes=%d: the run goes on, but to other "
                "numbers than with the same number throughout. Batch norm without sync_batchnorm sees each process's "
                "images alone, and sums are rounded otherwise",
                *(self.run.folder, before, now),
            )

    def _refuse_others(self, state: dict[str, Any]) -> None:
        where = f"{self.run.folder}: its checkpoint"
        if lacking := _SAVED - state.keys():
            raise UserError(
                f"{where} lacks {', '.join(sorted(lacking))}: another version of this code wrote it; "
                "--force starts the run anew"
            )
        if state["digest"] != self.run.digest:
            raise UserError(
                f"{where} is of another config (digest {state['digest']}, here {self.run.digest}); "
                "--force starts the run anew"
            )


def _synchronise(model: nn.Module, device: torch.device) -> None:
    """BatchNorm over all processes, in place; timm's way, as torch's loses the activation in timm's BatchNormAct2d."""
    if device.type != "cuda":
        raise UserError(f"recipe: sync_batchnorm needs GPUs; this runs on {device.type}. Take sync_batchnorm=False")
    from timm.layers.norm_act import convert_sync_batchnorm

    convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]


def _of_training(means: dict[str, float]) -> dict[str, float]:
    return {f"train_{name}": value for name, value in means.items()}
