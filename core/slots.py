"""Memory that processes share, for the batches that workers hand to the training.

Left to itself torch copies each batch of a worker into a shared file made for it, which both sides must map anew: on
batches of 10 MB that costs several percent of decoding them. Here the memory is made once, before the workers are
forked; a worker writes its batch straight into a free slot and sends only where it lies.
"""

import mmap
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Memory = NDArray[np.uint8]
"""Bytes, one after the other."""


class Slots:
    """Slots of equal size, a few for each worker. A slot is free again once no tensor lies in it any more."""

    def __init__(self, workers: int, each: int, nbytes: int) -> None:
        """Room for ``each`` batches of ``nbytes`` bytes for each of ``workers`` processes that are forked later."""
        self.each = each
        self._memory = np.frombuffer(mmap.mmap(-1, workers * each * nbytes), np.uint8).reshape(-1, nbytes)
        self._free = [list(range(worker * each, (worker + 1) * each)) for worker in range(workers)]

    def take(self, worker: int) -> int | None:
        """A free slot of this worker's, whose pages it has at hand, now reserved. None: all are full."""
        free = self._free[worker]
        return free.pop() if free else None

    def memory(self, slot: int) -> Memory:
        """A slot's bytes, to write to."""
        memory: Memory = self._memory[slot]
        return memory

    def open(self, slot: int) -> Tensor:
        """A slot's bytes as a tensor; once it and all views of it are gone, the slot is free."""
        array = self._memory[slot]  # its own object: the tensors' memory keeps it alive
        weakref.finalize(array, self._free[slot // self.each].append, slot).atexit = False
        return torch.from_numpy(array)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a slot a tensor lies."""

    start: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class Sent:
    """A batch, a tuple of tensors, lists of tensors and other values, on its way from a worker."""

    def __init__(self, batch: tuple[Any, ...], slot: int, memory: Memory) -> None:
        """batch: those of its uint8 tensors that lie in the slot stay there; the others travel by value."""
        self.kind, self.slot = type(batch), slot
        self.parts = [_packed(part, memory) for part in batch]

    def received(self, slots: Slots) -> tuple[Any, ...]:
        """The batch again; it holds the slot for as long as its tensors live."""
        memory = slots.open(self.slot)
        parts = [_unpacked(part, memory) for part in self.parts]
        return self.kind(*parts) if hasattr(self.kind, "_fields") else self.kind(parts)


def _packed(part: Any, memory: Memory) -> Any:
    if isinstance(part, list):
        return [_packed(one, memory) for one in part]
    if not isinstance(part, Tensor):
        return part
    start = part.data_ptr() - memory.ctypes.data
    if part.dtype == torch.uint8 and 0 <= start < memory.nbytes:
        return _Place(start, tuple(part.shape), part.stride())
    return part.numpy()  # pickled by value, where a tensor would travel in a shared file of its own


def _unpacked(part: Any, memory: Tensor) -> Any:
    if isinstance(part, list):
        return [_unpacked(one, memory) for one in part]
    if isinstance(part, _Place):
        return memory.as_strided(part.shape, part.stride, part.start)
    return torch.from_numpy(part) if isinstance(part, np.ndarray) else part
