"""Samples to batches. What a sample looks like is a function of (seed, epoch, index), never of workers or time.

A training has one stream of batches, `train_stream`: its processes live as long as it does and work across the borders
of epochs. It can begin at any step, so that a run that goes on sees what it would have seen.
"""

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from core.errors import UserError
from core.ordering import grouped, order
from core.seeding import derive
from core.slots import Sent, Slots

_log = logging.getLogger(__name__)
_AHEAD = 2  # batches that each worker has ready or under way
_HELD = 4  # batches that their consumer holds at most: at the step, on the way to the device, being pinned, received


class Samples(Protocol):
    """What a stage or task trains or tests on."""

    def __len__(self) -> int:
        """How many there are."""

    def sample(self, index: int) -> Any:
        """One sample. torch's global generator is seeded by (seed, epoch, index) before each call."""


@runtime_checkable
class SeededSamples(Protocol):
    """Samples that take the seed instead of torch's global generator, which costs less for each."""

    def __len__(self) -> int:
        """How many there are."""

    def seeded_sample(self, index: int, seed: int) -> Any:
        """One sample; ``seed``, a function of (seed, epoch, index), alone decides what it looks like."""


@runtime_checkable
class EpochAware(Protocol):
    """Samples that change with the epoch (progressive resolution): told before its first batch, on resume too.

    It is told in the process that makes the batch.
    """

    def begin_epoch(self, epoch: int) -> None:
        """The next samples belong to this epoch, from 0."""


@runtime_checkable
class Measured(Protocol):
    """Samples whose batches are tuples of tensors of a size that is known before.

    Their collate takes a second argument, where there is one: memory to write a batch's pixels to, so that a worker's
    batch need not be copied.
    """

    sample_bytes: int
    """Most bytes that a sample takes in that memory."""


@runtime_checkable
class Grouped(Protocol):
    """Samples of which a training batch holds one group, such as wide images or high ones, so that less is padded."""

    groups: Sequence[int] | None
    """The group of every sample; None: batches may mix them."""


Collate = Callable[..., Any]
"""A list of samples (and, for `Measured` ones, memory to write to) to a batch."""


def train_stream(
    samples: Samples | SeededSamples,
    collate: Collate,
    *,
    seed: int,
    batch_size: int,
    steps_per_epoch: int,
    first: int,
    last: int,
    workers: int = 0,
    rank: int = 0,
    ranks: int = 1,
) -> Iterator[Any]:
    """The batches of a training's steps `first` to `last` (excluded, from 0); each epoch has an order of its own.

    Of `Grouped` samples each batch has one group: see `grouped`.

    Args:
        samples: what to train on.
        collate: a list of samples to a batch.
        seed: decides the order and, with epoch and index, every sample.
        batch_size: samples of a step on all ranks together; an epoch's last step has what is left.
        steps_per_epoch: steps in an epoch. first, last: the part of the training.
        workers: processes that make the batches; 0: this one.
        rank, ranks: rank r of R takes every R-th sample of each batch, from the r-th.

    Raises:
        UserError: what a sample raised, wherever it was made; or a worker died.
    """
    if rank == 0:
        _tell_of_many(workers)
    asked = _steps(samples, seed, batch_size, steps_per_epoch, first, last, rank, ranks)
    return _made(samples, collate, asked, seed, -(-batch_size // ranks), workers)


def train_batches(
    samples: Samples | SeededSamples,
    collate: Collate,
    *,
    seed: int,
    epoch: int,
    batch_size: int,
    first: int,
    count: int,
    workers: int = 0,
    rank: int = 0,
    ranks: int = 1,
) -> Iterator[Any]:
    """An epoch's batches `first` to `first + count`, as in `train_stream`."""
    steps = max(first + count, 1)
    return train_stream(
        samples, collate, seed=seed, batch_size=batch_size, steps_per_epoch=steps, first=epoch * steps + first,
        last=epoch * steps + first + count, workers=workers, rank=rank, ranks=ranks,
    )  # fmt: skip


def ordered_batches(
    samples: Samples | SeededSamples,
    collate: Collate,
    *,
    seed: int,
    batch_size: int,
    workers: int = 0,
    rank: int = 0,
    ranks: int = 1,
) -> Iterator[Any]:
    """All samples in order; of several ranks, rank r of R takes every R-th batch. Raises as `train_stream` does."""
    count = len(samples)
    starts = range(rank * batch_size, count, ranks * batch_size)
    asked = (_Asked(-1, list(range(i, min(i + batch_size, count)))) for i in starts)
    return _made(samples, collate, asked, seed, batch_size, min(workers, len(starts)))


def on_device(batches: Iterable[Any], device: torch.device) -> Iterator[Any]:
    """Batches on a CUDA device, each copied while the step before it runs; on any other device they are passed on.

    A batch is a tensor, or a tuple, list or dict of batches; other values stay as they are.
    """
    if device.type != "cuda":
        yield from batches
        return
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call, unused-ignore]
    ahead = None
    for batch in batches:
        with torch.cuda.stream(side):
            copied = _mapped(batch, lambda tensor: tensor.to(device, non_blocking=True))
            copying = torch.cuda.Event()  # type: ignore[no-untyped-call, unused-ignore]
            copying.record()
        if ahead is not None:
            yield _awaited(device, *ahead)
        ahead = copied, copying, batch  # the batch itself too: its memory must stay until it is copied
    if ahead is not None:
        yield _awaited(device, *ahead)


def _awaited(device: torch.device, copied: Any, copying: torch.cuda.Event, _: Any) -> Any:
    """A batch whose copy began a step ago, for the device's current stream to use."""
    copying.synchronize()
    current = torch.cuda.current_stream(device)  # another device may be this process's current one

    def used(tensor: Tensor) -> Tensor:
        tensor.record_stream(current)  # else its memory is given away while the step still reads it
        return tensor

    return _mapped(copied, used)


def _mapped(batch: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(batch, Tensor):
        return change(batch)
    if isinstance(batch, dict):
        return {key: _mapped(part, change) for key, part in batch.items()}
    if isinstance(batch, tuple | list):
        parts = [_mapped(part, change) for part in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    return batch


@dataclass(frozen=True, slots=True)
class _Asked:
    """A batch to be made: its samples, and the slot to write it to."""

    epoch: int
    indices: list[int]
    slot: int | None = None


@dataclass(frozen=True, slots=True)
class _Failed:
    """What a worker sends instead of a batch: an error that a user can mend, without the worker's traceback."""

    error: UserError


class _Batches(Dataset[Any]):
    """Whole batches by what was asked for. `slots`: where its process has been forked from the one that reads them."""

    def __init__(self, samples: Samples | SeededSamples, collate: Collate, seed: int, slots: Slots | None) -> None:
        self.samples, self.collate, self.seed, self.slots = samples, collate, seed, slots
        self.sample: Callable[[int, int], Any] = self._generated
        if isinstance(samples, SeededSamples):
            self.sample = samples.seeded_sample
        self.epoch: int | None = None

    def __getitem__(self, asked: _Asked) -> Any:
        try:
            self._begin(asked.epoch)
            made = [self.sample(i, derive(self.seed, "sample", asked.epoch, i)) for i in asked.indices]
        except UserError as error:
            return _Failed(error)
        if self.slots is not None and asked.slot is not None:
            memory = self.slots.memory(asked.slot)
            return Sent(self.collate(made, memory), asked.slot, memory)
        return self.collate(made)

    def _begin(self, epoch: int) -> None:
        if epoch != self.epoch and epoch >= 0 and isinstance(self.samples, EpochAware):
            self.samples.begin_epoch(epoch)
        self.epoch = epoch

    def _generated(self, index: int, seed: int) -> Any:
        assert not isinstance(self.samples, SeededSamples)
        # The CPU's generator alone: torch.manual_seed formats a stack trace for CUDA's on each call.
        torch.default_generator.manual_seed(seed)
        return self.samples.sample(index)


class _Loader(DataLoader[Any]):
    """torch's, without its warning of many workers at every loader: `train_stream` tells of them, once."""

    def check_worker_number_rationality(self) -> None:
        """Say nothing."""


def _steps(
    samples: Samples | SeededSamples,
    seed: int,
    batch_size: int,
    steps_per_epoch: int,
    first: int,
    last: int,
    rank: int,
    ranks: int,
) -> Iterator[_Asked]:
    of, indices = -1, torch.empty(0)
    groups = samples.groups if isinstance(samples, Grouped) else None
    for step in range(first, last):
        epoch, position = divmod(step, steps_per_epoch)
        if epoch != of:
            of, indices = epoch, order(len(samples), seed, epoch)
            if groups is not None:
                indices = torch.tensor(grouped(indices.tolist(), groups, batch_size))
        start = position * batch_size
        yield _Asked(epoch, indices[start : start + batch_size][rank::ranks].tolist())


def _made(
    samples: Samples | SeededSamples,
    collate: Collate,
    asked: Iterator[_Asked],
    seed: int,
    batch_size: int,
    workers: int,
) -> Iterator[Any]:
    slots = _slots(samples, batch_size, workers)
    loader = _Loader(
        _Batches(samples, collate, seed, slots),
        sampler=asked if slots is None else _placed(asked, slots, max(workers, 1)),
        batch_size=None,
        collate_fn=_same,
        num_workers=workers,
        pin_memory=torch.cuda.is_available() and slots is None,
        prefetch_factor=_AHEAD if workers else None,
        multiprocessing_context=_start_method() if workers else None,
        worker_init_fn=_begin_worker if workers else None,
        generator=torch.Generator(),  # else the loader draws from torch's global one
    )
    return _received(loader, slots)


def _tell_of_many(workers: int) -> None:
    """A warning where a training has more workers than there are cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if workers > cores:
        _log.warning("workers=%d on %d CPU cores: more workers than cores seldom load faster", workers, cores)


def _start_method() -> str:
    """How workers begin. Forked, also where Python's default is another (3.14): they share records and slots then."""
    return "fork" if sys.platform == "linux" else multiprocessing.get_start_method()


def _received(loader: DataLoader[Any], slots: Slots | None) -> Iterator[Any]:
    pin = torch.cuda.is_available() and slots is not None
    batches = iter(loader)
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except RuntimeError as error:
            if "DataLoader worker" not in str(error) or "Caught" in str(error):
                raise
            raise UserError(
                f"a process that loads data died ({str(error).strip()}). Most often the machine was out of memory: "
                "fewer --workers or a smaller batch, or cache_images off, may help"
            ) from error
        if isinstance(batch, _Failed):
            raise batch.error
        if isinstance(batch, Sent):
            assert slots is not None
            batch = batch.received(slots)
            batch = _mapped(batch, Tensor.pin_memory) if pin else batch
        yield batch


def _slots(samples: Samples | SeededSamples, batch_size: int, workers: int) -> Slots | None:
    """Memory for the batches, where workers are forked and so have it too, or there are none."""
    if not isinstance(samples, Measured) or (workers and _start_method() != "fork"):
        return None
    makers, ahead = max(workers, 1), _AHEAD if workers else 0
    return Slots(makers, ahead + -(-_HELD // makers), min(batch_size, len(samples)) * samples.sample_bytes)


def _placed(asked: Iterator[_Asked], slots: Slots, makers: int) -> Iterator[_Asked]:
    """Each batch with a slot of the process that will make it: they take turns."""
    for turn, one in enumerate(asked):
        yield _Asked(one.epoch, one.indices, slots.take(turn % makers))


def _same(batch: Any) -> Any:
    return batch


def _begin_worker(_: int) -> None:
    """Settle a worker's threads and signals: what is sent to the whole job is the training's to answer.

    Without workers it could not end its step and save. They end when the training's process ends or says so. Where a
    process cannot see who sent a signal (macOS), SIGTERM ends a worker whoever sends it.
    """
    torch.set_num_threads(1)
    for number in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    if not hasattr(signal, "sigwaitinfo"):
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    training = multiprocessing.parent_process()
    assert training is not None
    threading.Thread(target=_end_with, args=(training.pid,), daemon=True).start()


def _end_with(training: int | None) -> None:
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != training:
        pass
    os._exit(0)
