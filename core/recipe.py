"""How long to train, with which optimizer, at which learning rate: values, and functions of the step."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

import torch

from core.errors import UserError


@dataclass(frozen=True)
class Schedule(ABC):
    """The learning rate's factor as a function of the step, so that a run resumes anywhere."""

    @abstractmethod
    def factor(self, step: int, total: int, unit: float) -> float:
        """The factor of the base learning rate.

        Args:
            step: steps taken. total: steps of the whole training.
            unit: steps in one unit of the recipe's length (steps an epoch; where the length is in steps 1, or what
                `Recipe.scale_steps` makes of one).
        """

    def stretched(self, factor: float) -> Self:
        """The schedule of a training `factor` times as long. One that has no marks of its own is the same."""
        return self


@dataclass(frozen=True)
class Constant(Schedule):
    """The base learning rate throughout."""

    def factor(self, step: int, total: int, unit: float) -> float:
        """1."""
        return 1.0


@dataclass(frozen=True)
class Steps(Schedule):
    """Times `gamma` at each of `at`, in epochs or steps as the recipe's length is."""

    at: tuple[float, ...]
    gamma: float = 0.1

    def factor(self, step: int, total: int, unit: float) -> float:
        """`gamma` to the number of marks that are past."""
        return float(self.gamma ** sum(step >= round(mark * unit) for mark in self.at))

    def stretched(self, factor: float) -> Self:
        """Every mark times `factor`."""
        return replace(self, at=tuple(mark * factor for mark in self.at))


@dataclass(frozen=True)
class Every(Schedule):
    """Times `gamma` every `period`, in epochs or steps as the recipe's length is."""

    period: float
    gamma: float = 0.1

    def factor(self, step: int, total: int, unit: float) -> float:
        """`gamma` to the number of whole periods that are past."""
        return float(self.gamma ** (step // round(self.period * unit)))

    def stretched(self, factor: float) -> Self:
        """The period times `factor`."""
        return replace(self, period=self.period * factor)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from 1 to `final` (SGDR, arXiv 1608.03983, without restarts)."""

    final: float = 0.0

    def factor(self, step: int, total: int, unit: float) -> float:
        """From 1 at the first step to `final` after the last."""
        return self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * min(step / total, 1.0)))


@dataclass(frozen=True)
class Optimizer(ABC):
    """An optimizer with its parameters; `lr` is the base learning rate."""

    lr: float

    @abstractmethod
    def build(self, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
        """torch's optimizer over parameter groups."""


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent with momentum."""

    momentum: float = 0.9
    weight_decay: float = 0.0
    nesterov: bool = False

    def build(self, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
        """torch.optim.SGD."""
        return torch.optim.SGD(
            groups, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay, nesterov=self.nesterov
        )


@dataclass(frozen=True)
class AdamW(Optimizer):
    """Adam with decoupled weight decay (arXiv 1711.05101); plain Adam at weight_decay 0."""

    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0

    def build(self, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
        """torch.optim.AdamW."""
        return torch.optim.AdamW(groups, lr=self.lr, betas=self.betas, weight_decay=self.weight_decay)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A training's length, batch size, optimizer and schedule. Exactly one of `epochs` and `steps` is given."""

    optimizer: Optimizer
    batch_size: int
    epochs: float | None = None
    steps: int | None = None
    schedule: Schedule = Constant()
    warmup_steps: int = 0
    """Steps over which the learning rate grows linearly to its base."""
    clip_norm: float | None = None
    """Largest norm of the gradient."""
    clip_value: float | None = None
    """Largest magnitude of each of the gradient's values."""
    drop_last: bool = True
    """Leave out an epoch's last batch where it is not whole."""
    accumulate: int = 1
    """Micro-batches whose gradients make one step, where a whole batch does not fit into memory. `batch_size` is that
    of the step; each micro-batch is mixed, and normalised by its own batch statistics, on its own."""
    lr_batch: int | None = None
    """The batch size that the optimizer's learning rate is for: that of another batch size is in proportion (the linear
    scaling rule, Goyal et al., arXiv 1706.02677, sec. 2.1). None: the learning rate as it is."""
    scale_steps: bool = False
    """Whether what is counted in steps (the length, the schedule's marks, the warm-up) is for `lr_batch` images a step
    as well: at another batch size it is in inverse proportion, so that as many images are seen. Half the batch is half
    the learning rate and twice the steps, the rule of MoCo's authors for fewer GPUs (facebookresearch/moco, issue 11)
    and of detectron2's `DefaultTrainer.auto_scale_workers`, whose rounding is followed. Needs `lr_batch`. `steps` from
    the command line are counted so too. What is counted in epochs holds as many images anyway."""
    ema_decay: float | None = None
    """Decay of an exponential moving average of weights and buffers, one update a step; the average is what is
    validated and saved. It starts from the weights after the first step, as torch's AveragedModel does. None: none."""
    sync_batchnorm: bool = False
    """Batch statistics over all processes of a data-parallel job (torch's SyncBatchNorm, GPUs only), instead of over
    each process's images. Of no effect with one process."""

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            none = self.epochs is None
            remedy = "give one" if none else "set the other to None (--recipe.epochs None, or --recipe.steps None)"
            raise ValueError(
                f"recipe: expected either epochs or steps; epochs={self.epochs}, steps={self.steps}: {remedy}"
            )
        above = {"epochs": self.epochs, "steps": self.steps, "batch_size": self.batch_size}
        for name, value in {**above, "optimizer.lr": self.optimizer.lr}.items():
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"recipe: expected {name} above 0; it is {value}")
        if self.accumulate < 1 or self.batch_size % self.accumulate:
            raise ValueError(
                f"recipe: expected a batch size that is a multiple of accumulate; batch_size={self.batch_size}, "
                f"accumulate={self.accumulate}"
            )
        if self.lr_batch is not None and self.lr_batch < 1:
            raise ValueError(f"recipe: expected lr_batch, a batch size, of 1 or more; it is {self.lr_batch}")
        if self.scale_steps and self.lr_batch is None:
            raise ValueError("recipe: expected an lr_batch beside scale_steps=True: the batch that the steps are for")
        if self.ema_decay is not None and not 0.0 < self.ema_decay < 1.0:
            raise ValueError(f"recipe: expected an ema_decay between 0 and 1; it is {self.ema_decay}")

    def check(self, samples: int, ranks: int = 1) -> None:
        """Refuse what does not fit the data or the machine.

        Args:
            samples: images of the training split. ranks: processes that share each batch.

        Raises:
            UserError: there is nothing to train on, no whole batch, a batch that cannot be shared evenly, or a last
                one that has not an image for every process.
        """
        if samples == 0:
            raise UserError("nothing to train on: the training split has no samples")
        if self.batch_size % (self.accumulate * ranks):
            raise UserError(
                f"recipe: expected a batch size that is a multiple of accumulate x processes = {self.accumulate} x "
                f"{ranks}; batch_size={self.batch_size}"
            )
        if self.drop_last and samples < self.batch_size:
            raise UserError(
                f"recipe: the training split has {samples} samples, fewer than one batch of {self.batch_size}, and "
                "drop_last leaves out a batch that is not whole; take a smaller batch_size, or drop_last=False"
            )
        rest = 0 if self.drop_last else samples % (self.batch_size // self.accumulate)
        if 0 < rest < ranks:
            raise UserError(
                f"recipe: an epoch's last {'micro-' * (self.accumulate > 1)}batch has {rest} of {samples} samples, "
                f"fewer than {ranks} processes; take drop_last=True or fewer processes"
            )

    @property
    def base_lr(self) -> float:
        """The learning rate before warm-up and schedule: the optimizer's, scaled by the linear rule where asked."""
        return self.optimizer.lr * (1.0 if self.lr_batch is None else self.batch_size / self.lr_batch)

    @property
    def stretch(self) -> float:
        """What a number of steps in the recipe is multiplied by: 1, or lr_batch / batch_size with `scale_steps`."""
        return self.lr_batch / self.batch_size if self.scale_steps and self.lr_batch is not None else 1.0

    @property
    def warmup(self) -> int:
        """Steps of the warm-up, scaled where asked."""
        return round(self.warmup_steps * self.stretch)

    def steps_per_epoch(self, samples: int) -> int:
        """Steps in one pass over `samples` samples."""
        whole = samples // self.batch_size
        return max(1, whole if self.drop_last else -(-samples // self.batch_size))

    def total_steps(self, samples: int) -> int:
        """Steps of the whole training."""
        if self.steps is not None:
            return max(1, round(self.steps * self.stretch))
        return max(1, round((self.epochs or 0) * self.steps_per_epoch(samples)))

    def images(self, samples: int) -> int:
        """Images of the whole training."""
        return self.images_in(self.total_steps(samples), samples)

    def images_in(self, steps: int, samples: int) -> int:
        """Images of the first `steps` steps: an epoch's last batch may be a short one."""
        epochs, rest = divmod(steps, self.steps_per_epoch(samples))
        whole = min(self.steps_per_epoch(samples) * self.batch_size, samples)
        return epochs * whole + min(rest * self.batch_size, whole)

    def lr(self, step: int, samples: int) -> float:
        """The learning rate at a step (from 0): base x warm-up x schedule."""
        unit = float(self.steps_per_epoch(samples)) if self.steps is None else self.stretch
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return self.base_lr * warm * self.schedule.factor(step, self.total_steps(samples), unit)

    def rule(self, samples: int) -> str:
        """The learning rate, batch and length in force, with the rule that made them of what the recipe says."""
        batch, for_batch = self.batch_size, self.lr_batch
        steps, images = _many(self.total_steps(samples), "step"), _many(batch, "image")
        rate, length = f"learning rate {self.base_lr:g}", f"{steps} of {images}"
        warm = f", the first {self.warmup:,} a warm-up" if self.warmup else ""
        if for_batch is None:
            return f"{rate} as it is, {length}{warm}"
        if for_batch == batch:
            return f"{rate} for a batch of {batch}, as it is; {length}{warm}"
        rate += f", which is {self.optimizer.lr:g} for a batch of {for_batch} scaled to {batch}"
        if self.scale_steps:
            own = "" if self.steps is None else f"{self.steps:,}, as all that it counts in steps,"
            length += f" (the recipe's {own or 'numbers of steps'} times {for_batch}/{batch}: as many images)"
        elif self.steps is not None:
            length += ", not scaled (fewer images)" if batch < for_batch else ", not scaled (more images)"
        return f"{rate}; {length}{warm}"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
