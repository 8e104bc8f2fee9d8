"""Samples to batches. What a sample looks like is a function of (seed, epoch, index), never of workers or time."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch.utils.data import DataLoader, Dataset

from core.seeding import derive


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
    """Samples that change with the epoch (progressive resolution): told before its first batch, on resume too."""

    def begin_epoch(self, epoch: int) -> None:
        """The next samples belong to this epoch, from 0."""


class _Seeded(Dataset[Any]):
    def __init__(self, samples: Samples, seed: int) -> None:
        self.samples, self.seed = samples, seed

    def __getitem__(self, key: tuple[int, int]) -> Any:
        epoch, index = key
        seed = derive(self.seed, "sample", epoch, index)
        if isinstance(self.samples, SeededSamples):
            return self.samples.seeded_sample(index, seed)
        # The CPU's generator alone: torch.manual_seed formats a stack trace for CUDA's on each call.
        torch.default_generator.manual_seed(seed)
        return self.samples.sample(index)


def order(samples: int, seed: int, epoch: int) -> list[int]:
    """The order of an epoch's samples."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return list(torch.randperm(samples, generator=generator).tolist())


def train_batches(
    samples: Samples,
    collate: Callable[[list[Any]], Any],
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
    """An epoch's batches `first` to `first + count`, shuffled. Rank r of R takes every R-th sample of each batch."""
    if isinstance(samples, EpochAware):
        samples.begin_epoch(epoch)
    indices = order(len(samples), seed, epoch)
    batches = [
        [(epoch, index) for index in indices[start : start + batch_size][rank::ranks]]
        for start in range(first * batch_size, (first + count) * batch_size, batch_size)
    ]
    return iter(_loader(samples, collate, batches, seed, workers))


def ordered_batches(
    samples: Samples, collate: Callable[[list[Any]], Any], *, seed: int, batch_size: int, workers: int = 0
) -> Iterator[Any]:
    """All samples in order."""
    keys = [(-1, index) for index in range(len(samples))]
    return iter(
        _loader(samples, collate, [keys[i : i + batch_size] for i in range(0, len(keys), batch_size)], seed, workers)
    )


def _loader(
    samples: Samples,
    collate: Callable[[list[Any]], Any],
    batches: Sequence[list[tuple[int, int]]],
    seed: int,
    workers: int,
) -> DataLoader[Any]:
    return DataLoader(
        _Seeded(samples, seed),
        batch_sampler=batches,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=4 if workers else None,
        worker_init_fn=_one_thread if workers else None,
    )


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
