"""In which order a training sees its samples: a function of (seed, epoch), never of workers, ranks or time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from core.seeding import derive


def order(samples: int, seed: int, epoch: int) -> Tensor:
    """The order of an epoch's samples: [samples] int64."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(samples, generator=generator)


def grouped(order: Sequence[int], groups: Sequence[int], batch_size: int) -> list[int]:
    """An order put so that batches cut from it hold one group each, and there are no more of them than before.

    A group's samples keep their order, and its batch comes when it is full (as in detectron2). What is left of the
    groups at the end is put together, group by group, so that one batch less than there are groups may be mixed.

    Args:
        order: an epoch's samples. groups: the group of every sample. batch_size: samples of a batch.
    """
    waiting: dict[int, list[int]] = {}
    put: list[int] = []
    for index in order:
        batch = waiting.setdefault(groups[index], [])
        batch.append(index)
        if len(batch) == batch_size:
            put += batch
            batch.clear()
    return put + [index for group in sorted(waiting) for index in waiting[group]]
