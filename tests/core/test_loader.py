"""The stream of batches: what is in it is a function of the seed alone, and errors come through as they are."""

import multiprocessing
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from core.data.records import DataError
from core.errors import UserError
from core.loader import on_device, ordered_batches, train_batches, train_stream
from core.ordering import grouped, order
from core.slots import Memory, Slots
from tests.core.networks import Points


class Made(NamedTuple):
    pixels: Tensor
    keys: Tensor
    process: int


class Noise:
    """10 samples of 8 bytes that the seed gives, and with them their index, epoch and process."""

    sample_bytes = 8

    def __init__(self) -> None:
        self.epoch = -1

    def __len__(self) -> int:
        return 10

    def begin_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def seeded_sample(self, index: int, seed: int) -> tuple[bytes, int, int]:
        return np.random.default_rng(seed).bytes(8), index, self.epoch


def collate(samples: list[tuple[bytes, int, int]], memory: Memory | None = None) -> Made:
    pixels = np.empty(len(samples) * 8, np.uint8) if memory is None else memory[: len(samples) * 8]
    pixels[:] = np.frombuffer(b"".join(sample[0] for sample in samples), np.uint8)
    keys = torch.tensor([sample[1:] for sample in samples])
    return Made(torch.from_numpy(pixels).reshape(-1, 8), keys, os.getpid())


def stream(samples: Any = None, first: int = 0, last: int = 8, **more: Any) -> Any:
    values = {"seed": 3, "batch_size": 4, "steps_per_epoch": 3, **more}
    return train_stream(samples or Noise(), values.pop("collate", collate), first=first, last=last, **values)


def equal(a: list[Made], b: list[Made]) -> bool:
    same = all(torch.equal(x.pixels, y.pixels) and torch.equal(x.keys, y.keys) for x, y in zip(a, b, strict=True))
    return len(a) == len(b) and same


def test_each_epoch_is_the_samples_in_an_order_of_its_own() -> None:
    batches = list(stream())
    assert [len(batch.pixels) for batch in batches] == [4, 4, 2, 4, 4, 2, 4, 4]
    for epoch in (0, 1):
        keys = torch.cat([batch.keys for batch in batches[3 * epoch : 3 * epoch + 3]]).tolist()
        assert sorted(keys) == [[index, epoch] for index in range(10)]
        assert [index for index, _ in keys] == order(10, 3, epoch).tolist()
    assert order(10, 3, 0).tolist() != order(10, 3, 1).tolist() != order(10, 4, 1).tolist()
    pixels = {bytes(row.tolist()) for batch in batches for row in batch.pixels}
    assert len(pixels) == sum(len(batch.pixels) for batch in batches), "a sample looks the same in two epochs"


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_change_no_bit_and_live_across_epochs(workers: int) -> None:
    batches = list(stream(workers=workers))  # all held at once: no memory may be used twice
    assert equal(batches, list(stream()))
    makers = [batch.process for batch in batches]
    assert makers == [makers[i % workers] for i in range(8)]
    assert len(set(makers)) == workers
    assert os.getpid() not in makers


def test_a_stream_can_begin_anywhere() -> None:
    whole = list(stream())
    for first in range(9):
        assert equal(list(stream(first=first)), whole[first:])
    assert equal(list(stream(first=4, workers=2)), whole[4:])


def test_ranks_share_each_batch() -> None:
    whole = list(stream())
    ranks = [list(stream(rank=rank, ranks=3)) for rank in range(3)]
    for step, batch in enumerate(whole):
        for rank in range(3):
            assert torch.equal(ranks[rank][step].pixels, batch.pixels[rank::3])


def test_memory_is_made_for_a_ranks_part_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def watched(workers: int, each: int, nbytes: int) -> Slots:
        made.append(nbytes)
        return Slots(workers, each, nbytes)

    monkeypatch.setattr("core.loader.Slots", watched)
    batches = list(stream(rank=0, ranks=3))
    assert made == [2 * 8]  # of 4 samples, ranks have 2, 1 and 1
    assert max(len(batch.pixels) for batch in batches) == 2


def test_workers_are_forked_whatever_pythons_default_is() -> None:
    """From Python 3.14 on it is another on Linux: workers would get the records by value, and no slots."""
    before = multiprocessing.get_start_method()
    multiprocessing.set_start_method("spawn", force=True)
    try:
        assert equal(list(stream(workers=1, collate=lambda *made: collate(*made))), list(stream()))
    finally:
        multiprocessing.set_start_method(before, force=True)


def test_an_epochs_batches_are_the_streams() -> None:
    part = train_batches(Noise(), collate, seed=3, epoch=1, batch_size=4, first=1, count=2)
    assert equal(list(part), list(stream(first=4, last=6)))


def test_memory_is_used_again_once_a_batch_is_gone() -> None:
    places, batches = set(), stream(last=60, workers=1)
    for batch, alone in zip(batches, stream(last=60), strict=True):
        places.add(batch.pixels.data_ptr())
        assert torch.equal(batch.pixels, alone.pixels)
    assert len(places) <= 6  # 2 ahead and 4 held, whatever the number of steps


def test_a_slot_is_free_when_no_tensor_lies_in_it() -> None:
    slots = Slots(workers=1, each=1, nbytes=4)
    slot = slots.take(0)
    assert slot is not None
    slots.memory(slot)[:] = 7
    view = slots.open(slot)[1:].reshape(1, 3)
    assert slots.take(0) is None
    assert view.tolist() == [[7, 7, 7]]
    del view
    assert slots.take(0) == slot


class Generated(Points):
    """Has `sample` alone: torch's global generator decides."""


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_that_draw_from_torchs_generator_are_seeded_too(workers: int) -> None:
    def stacked(samples: list[tuple[Tensor, Tensor]]) -> Tensor:
        return torch.stack([x for x, _ in samples])

    torch.manual_seed(1)
    first = list(stream(Generated(), last=4, workers=workers, collate=stacked))
    torch.manual_seed(2)
    again = list(stream(Generated(), last=4, collate=stacked))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_workers_leave_torchs_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    list(stream(workers=1, last=2))
    list(ordered_batches(Noise(), collate, seed=0, batch_size=4, workers=1))
    assert torch.equal(torch.get_rng_state(), before)


def test_more_workers_than_cores_are_told_of_in_one_line(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    for workers, told in ((1, 0), (2, 1)):
        caplog.clear()
        assert len(list(stream(workers=workers, last=2))) == 2
        assert [record.getMessage() for record in caplog.records] == [
            "workers=2 on 1 CPU cores: more workers than cores seldom load faster"
        ] * told
    assert not [warning for warning in recwarn if "worker" in str(warning.message)]


@pytest.mark.parametrize("workers", [0, 2])
def test_ordered_batches_are_all_samples_in_order(workers: int) -> None:
    batches = list(ordered_batches(Noise(), collate, seed=0, batch_size=4, workers=workers))
    assert torch.cat([batch.keys[:, 0] for batch in batches]).tolist() == list(range(10))


class Broken(Noise):
    def seeded_sample(self, index: int, seed: int) -> tuple[bytes, int, int]:
        raise DataError("cat.JPEG: truncated or broken")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_file_is_reported_without_the_workers_traceback(workers: int) -> None:
    with pytest.raises(DataError) as raised:
        next(stream(Broken(), workers=workers))
    assert str(raised.value) == "cat.JPEG: truncated or broken"


class Dying(Noise):
    def seeded_sample(self, index: int, seed: int) -> tuple[bytes, int, int]:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def test_a_worker_that_is_killed_is_reported_with_a_remedy() -> None:
    with pytest.raises(UserError, match=r"process that loads data died.*--workers"):
        next(stream(Dying(), workers=1))


class Patient(Noise):
    """Lays down a file for each epoch that it is told of."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        (self.folder / str(epoch)).touch()


def test_workers_begin_the_next_epoch_while_the_last_one_ends(tmp_path: Path) -> None:
    batches = stream(Patient(tmp_path), workers=1)
    next(batches), next(batches)  # of the first epoch one batch is left
    deadline = time.monotonic() + 10
    while not (tmp_path / "1").exists():
        assert time.monotonic() < deadline, "no batch of the second epoch was made ahead"
        time.sleep(0.01)
    assert not (tmp_path / "2").exists()


def test_workers_live_through_the_signals_that_stop_a_training() -> None:
    batches = stream(workers=1, last=30)
    maker = next(batches).process
    for number in ("TERM", "INT", "USR1"):  # from another process: the training's own SIGTERM ends a worker
        subprocess.run(["kill", f"-{number}", str(maker)], check=True)
    assert {batch.process for batch in batches} == {maker}


def _stop_within_an_epoch(makers: Any) -> None:
    batches = stream(workers=2, last=1000)
    for _ in range(2):
        makers.put(next(batches).process)
    makers.close()
    makers.join_thread()
    kept.append(batches)  # as a traceback keeps it: nothing has closed it when the process ends


kept: list[Any] = []


def test_a_training_that_stops_within_an_epoch_can_end_and_its_workers_with_it() -> None:
    context = multiprocessing.get_context("fork")
    makers = context.Queue()
    training = context.Process(target=_stop_within_an_epoch, args=(makers,))
    training.start()
    try:
        processes = [makers.get(timeout=20) for _ in range(2)]
        training.join(20)
        assert training.exitcode == 0, "still waiting for its workers"
    finally:
        training.kill()
    assert not any(Path(f"/proc/{process}").exists() for process in processes)


def test_on_the_cpu_batches_are_passed_on() -> None:
    batches = list(stream())
    assert all(a is b for a, b in zip(on_device(batches, torch.device("cpu")), batches, strict=True))


class Oriented(Noise):
    """Samples 0, 3, 6, 9 are of one group, the others of another."""

    groups = [int(index % 3 > 0) for index in range(10)]  # noqa: RUF012 - no test changes it


def test_groups_by_hand() -> None:
    put = grouped([5, 0, 1, 2, 3, 4, 6, 9, 7, 8], Oriented.groups, 3)
    assert put == [5, 1, 2, 0, 3, 6, 4, 7, 8, 9]  # groups: 1 1 1, 0 0 0, 1 1 1, and what is left


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 7])
def test_batches_of_grouped_samples_hold_one_group_each(batch_size: int) -> None:
    steps = -(-10 // batch_size)
    orders = set()
    for epoch in range(6):
        first = epoch * steps
        batches = list(
            stream(Oriented(), first=first, last=first + steps, batch_size=batch_size, steps_per_epoch=steps)
        )
        indices = [batch.keys[:, 0].tolist() for batch in batches]
        assert sorted(i for one in indices for i in one) == list(range(10)), "every sample once"
        assert [len(one) for one in indices[:-1]] == [batch_size] * (steps - 1)
        mixed = [len({Oriented.groups[i] for i in one}) > 1 for one in indices]
        assert sum(mixed) <= 1
        orders.add(str(indices))
    assert len(orders) == 6


def test_grouped_batches_are_the_same_from_anywhere_by_any_workers_and_ranks() -> None:
    values: dict[str, Any] = {"batch_size": 3, "steps_per_epoch": 4, "last": 12}
    whole = list(stream(Oriented(), **values))
    for first in (1, 5, 11):
        assert equal(list(stream(Oriented(), first=first, **values)), whole[first:])
    for workers in (1, 3):
        assert equal(list(stream(Oriented(), first=2, workers=workers, **values)), whole[2:])
    for rank in range(2):
        parts = stream(Oriented(), rank=rank, ranks=2, **values)
        assert [part.keys.tolist() for part in parts] == [one.keys[rank::2].tolist() for one in whole]


def test_samples_without_groups_keep_their_order() -> None:
    class Free(Noise):
        groups = None

    assert equal(list(stream(Free())), list(stream()))
