"""Pascal VOC detection: 20 classes, image sets of several years."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from core.data.records import DataSet, SceneRecord

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""In the official, alphabetical order; a label is an index into it."""

Sets = tuple[tuple[str, str], ...]
"""(year, image set) pairs, read one after the other."""


@dataclass(frozen=True)
class VOC(DataSet[SceneRecord]):
    """Pascal VOC. The default is the field's standard: train on 2007 + 2012 trainval, test on 2007 test."""

    name: ClassVar[str] = "VOC"
    layout: ClassVar[str] = ""
    official: ClassVar[dict[str, int]] = {"train": 16551, "test": 4952}

    folder: str = "VOCdevkit"
    train: Sets = (("2007", "trainval"), ("2012", "trainval"))
    test: Sets = (("2007", "test"),)

    def classes(self, root: Path) -> tuple[str, ...]:
        """The 20 names, whatever the root holds."""
        return VOC_CLASSES

    def _needs(self, root: Path, split: str) -> Iterable[tuple[Path, str]]:
        raise NotImplementedError

    def _read(self, root: Path, split: str) -> tuple[SceneRecord, ...]:
        raise NotImplementedError
