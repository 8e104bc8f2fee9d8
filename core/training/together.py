"""Rows trained side by side from one stream of batches, with the bits of each trained alone."""

import contextlib
import logging
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from core.errors import UserError
from core.loader import Samples, on_device, train_stream
from core.training.row import Fitted, Row
from core.training.signals import Signals
from core.training.speed import Speed
from core.training.trainee import Trainee

_log = logging.getLogger(__name__)
_MEMORY = 0.95  # share of what was before in the measured times


@dataclass(frozen=True)
class _MicroBatch:
    data: Any
    part: int
    images: int
    last: bool
    waited: float


class Together:
    """Rows under way. They are at the same step but for those that resumed ahead of others, which wait."""

    def __init__(self, rows: Sequence[Row], samples: Samples, collate: Callable[[list[Any]], Any]) -> None:
        assert rows, "no rows"
        self.samples, self.collate = samples, collate
        _refuse_different_streams(rows)
        self.trainees = [Trainee(row, len(samples)) for row in rows]
        self.first = self.trainees[0]
        self.ranks = self.first.fabric.world_size
        self.checkpoint_every = min(row.job.config.checkpoint_every for row in rows)
        self.signals = Signals()
        self.saved = time.monotonic()
        self.position = 0
        """The step that comes, of the whole training."""
        self.recent = Speed()  # the older the less

    def run(self) -> list[Fitted]:
        """Train every row from its checkpoint, or from the start, to its end."""
        for trainee in self.trainees:
            trainee.resume()
        with self.signals:
            self._validate()  # what a killed run did not come to
            if active := self._active():
                self.position = min(trainee.step for trainee in active)
                with contextlib.closing(self._batches()) as batches:
                    while self._active():
                        self._epoch(batches)
                        self._validate()
                        self._save_if_asked()
        return [trainee.finish() for trainee in self.trainees]

    def _active(self) -> list[Trainee]:
        return [trainee for trainee in self.trainees if not trainee.finished]

    def _epoch(self, batches: Iterator[_MicroBatch]) -> None:
        """Train to the end of the epoch, or of a row; each row takes part from its own step on."""
        for trainee in self._active():
            trainee.model.train()
        began, waited = time.monotonic(), 0.0
        for batch in batches:
            takers = [trainee for trainee in self._active() if trainee.step == self.position]
            # A process that is ahead of its device keeps nobody waiting while it waits.
            waited += 0.0 if any(trainee.busy for trainee in takers) else batch.waited
            for trainee, data in _handed_out(batch.data, takers):
                with self._alone(trainee):
                    trainee.train_on(data, batch.part, batch.images, batch.last)
            if batch.last:
                self._count(takers, time.monotonic() - began, waited)
                self.position += 1
                if self._after_step(takers):
                    return
                began, waited = time.monotonic(), 0.0

    def _count(self, takers: Sequence[Trainee], seconds: float, waited: float) -> None:
        """Take in how long a step took."""
        images = self.first.images(self.position)
        for trainee in takers:
            trainee.speed.add(images, seconds, waited)
        self.recent.seconds, self.recent.waited = _MEMORY * self.recent.seconds, _MEMORY * self.recent.waited
        self.recent.add(images, seconds, waited)

    def _batches(self) -> Generator[_MicroBatch, None, None]:
        """The micro-batches from the first row's step to the end of the longest row."""
        recipe, first, job = self.first.recipe, self.first, self.first.row.job
        micro = recipe.batch_size // recipe.accumulate
        an_epoch = sum(-(-first.images(step) // micro) for step in range(first.per_epoch))
        total = max(trainee.total for trainee in self._active())

        def before(step: int) -> int:
            """Micro-batches before a step."""
            return step // first.per_epoch * an_epoch + step % first.per_epoch * recipe.accumulate

        stream = train_stream(
            self.samples,
            self.collate,
            seed=job.config.seed,
            batch_size=micro,
            steps_per_epoch=an_epoch,
            first=before(self.position),
            last=before(total),
            workers=job.config.workers,
            rank=job.fabric.global_rank,
            ranks=self.ranks,
        )
        moved = on_device(stream, job.fabric.device)
        for images in map(first.images, range(self.position, total)):
            for start in range(0, images, micro):
                size = min(micro, images - start)
                began = time.monotonic()
                data = next(moved)
                waited = time.monotonic() - began
                yield _MicroBatch(data, start // micro, size, start + size == images, waited)

    def _after_step(self, takers: Sequence[Trainee]) -> bool:
        """Show how far the rows are, save where it is time; whether an epoch or a row is at its end."""
        for trainee in takers:
            if trainee.error is None:
                trainee.show(self.recent.waiting)
        if self.position % self.first.per_epoch == 0 or any(trainee.due or trainee.finished for trainee in takers):
            return True
        if not self._active():  # the last one failed before the step's last micro-batch
            return True
        if self.ranks == 1 or self.first.looks_at(self.position):
            self._save_if_asked()
        return False

    def _validate(self) -> None:
        """Let rows say something of their epoch. All training is saved before: a kill meanwhile repeats none of it."""
        if due := [trainee for trainee in self._active() if trainee.due]:
            self._save(self._active())
            self.signals.at_once = self.ranks == 1
            self._stop_if(self._asked()[0])
            for trainee in due:
                if trainee.error is None:
                    trainee.validate()
            self.signals.at_once = False
        self._save([trainee for trainee in self.trainees if trainee.finished and trainee.error is None])

    def _save_if_asked(self) -> None:
        stop, save = self._asked()
        if stop or save:
            self.signals.save = False
            self._save(self._active())
            self._stop_if(stop)

    def _asked(self) -> tuple[bool, bool]:
        """Whether to stop, and whether to save, as any of the processes was asked."""
        save = self.signals.save or time.monotonic() - self.saved >= self.checkpoint_every
        if self.ranks == 1:
            return self.signals.stop, save
        fabric = self.first.fabric
        asked = torch.tensor([self.signals.stop, save], dtype=torch.int32, device=fabric.device)
        stop, save = cast("Tensor", fabric.all_reduce(asked, reduce_op="max")).tolist()
        return bool(stop), bool(save)

    def _save(self, trainees: Sequence[Trainee]) -> None:
        self.saved = time.monotonic()
        for trainee in trainees:
            with self._alone(trainee):
                trainee.save()

    @staticmethod
    def _stop_if(stop: bool) -> None:
        if stop:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def _alone(self, trainee: Trainee) -> Iterator[None]:
        """What is wrong with one of several rows stops that row alone."""
        try:
            yield
        except UserError as error:
            if len(self.trainees) == 1:
                raise
            trainee.error = error
            _log.error("%s: stopped, the other rows go on: %s", trainee.run.folder, error)


def _handed_out(batch: Any, takers: Sequence[Trainee]) -> Iterator[tuple[Trainee, Any]]:
    """A batch on each row's device, moved there once."""
    for device in dict.fromkeys(trainee.fabric.device for trainee in takers):
        there = [trainee for trainee in takers if trainee.fabric.device == device]
        moved = there[0].fabric.to_device(batch)
        for trainee in there:
            yield trainee, moved


def _refuse_different_streams(rows: Sequence[Row]) -> None:
    """UserError: rows that would not see the same batches."""
    first, *others = [
        {
            "seed": row.job.config.seed,
            "recipe.batch_size": row.recipe.batch_size,
            "recipe.accumulate": row.recipe.accumulate,
            "recipe.drop_last": row.recipe.drop_last,
            "processes": row.job.fabric.world_size,
        }
        for row in rows
    ]
    for row, other in zip(rows[1:], others, strict=True):
        if different := [
            f"{name}: {first[name]} there, {other[name]} here" for name in first if first[name] != other[name]
        ]:
            raise UserError(
                f"{row.job.run.folder} cannot be trained beside {rows[0].job.run.folder}: they would not see the same "
                f"batches ({'; '.join(different)}). Train them apart"
            )
