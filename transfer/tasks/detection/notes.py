"""What a data set notes of its images, in a few arrays.

A record is many small objects, and a forked worker copies the memory page of each that it looks at: with COCO's 118,000
training images that came to 280 MB in every worker.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data.records import SceneRecord
from transfer.tasks.detection.views import Boxes


class Note(NamedTuple):
    """What is noted of one image: its name, its file's width and height, and the objects to learn."""

    id: str
    size: tuple[int, int]
    boxes: Boxes  # [B, 4] float64, pixels
    labels: NDArray[np.int64]  # [B], from 0


class Notes:
    """The notes of many images."""

    def __init__(self, records: Sequence[SceneRecord], *, keep_difficult: bool) -> None:
        """records: the images. keep_difficult: whether objects marked difficult are to be learned."""
        learned = [[i for i, hard in enumerate(r.difficult) if keep_difficult or not hard] for r in records]
        objects = [(r.boxes[i], r.labels[i]) for r, kept in zip(records, learned, strict=True) for i in kept]
        self.ids = [record.id for record in records]
        self.sizes = np.array([record.size for record in records], np.int64)  # [N, 2]
        self.starts = np.cumsum([0, *map(len, learned)])  # [N + 1]
        self.boxes = np.array([box for box, _ in objects], np.float64).reshape(-1, 4)
        self.labels = np.array([label for _, label in objects], np.int64)

    def __getitem__(self, index: int) -> Note:
        """One image's."""
        mine = slice(*self.starts[index : index + 2].tolist())
        width, height = self.sizes[index].tolist()
        return Note(self.ids[index], (width, height), self.boxes[mine], self.labels[mine])
