"""The parts of an evaluation: what a worker process does with one."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from eval.localization.part import Part, examine
from eval.localization.settings import Settings
from wsol.evaluate.inputs import PART, Skipped, Split


@dataclass(frozen=True)
class Task:
    """One part: some images of one split in one geometry."""

    split: int
    geometry: int
    index: int
    path: Path
    """The part's file; it exists = the part is done."""


@dataclass(frozen=True, eq=False)
class Work:
    """What all tasks share; worker processes get it once."""

    splits: tuple[Split, ...]
    """The one that is evaluated, then the one that chooses thresholds, if any."""
    settings: tuple[Settings, ...]
    """One for each geometry."""
    skip_bad: bool
    folder: Path
    """Of the parts."""

    def tasks(self) -> list[Task]:
        """All parts, done or not, in their order."""
        return [
            Task(split, geometry, index, self._path(split, geometry, index))
            for split in range(len(self.splits))
            for index in range(self.splits[split].parts)  # maps just read are still in the system's cache
            for geometry in range(len(self.settings))
        ]

    def images(self, task: Task) -> int:
        """How many images a part has."""
        return len(self._ids(task))

    def parts(self, split: int, geometry: int) -> Iterator[Part]:
        """The finished parts of a split, one in memory at a time."""
        for index in range(self.splits[split].parts):
            yield Part.load(self._path(split, geometry, index))

    def do(self, task: Task) -> int:
        """Trace the maps of a part and save it; returns how many images there were.

        Raises:
            EvalError: naming the image that cannot be evaluated, unless such are skipped.
        """
        split, unread = self.splits[task.split], list[Skipped]()
        ids = self._ids(task)
        maps = split.maps(ids, unread if self.skip_bad else None)
        truths = {name: split.truths[name] for name in ids}  # it looks through all that it is given
        part = examine(maps, truths, self.settings[task.geometry], skip_bad=self.skip_bad)
        if unread:
            part = dataclasses.replace(part, skipped=(*part.skipped, *unread))
        part.save(task.path)
        return len(ids)

    def _ids(self, task: Task) -> tuple[str, ...]:
        return self.splits[task.split].ids[task.index * PART : (task.index + 1) * PART]

    def _path(self, split: int, geometry: int, index: int) -> Path:
        name = f"{self.settings[geometry].geometry}{'-select' if split else ''}"
        return self.folder / name / f"{index:05d}.npz"
