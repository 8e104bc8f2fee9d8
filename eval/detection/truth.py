"""Objects to find, as arrays."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import inf
from typing import Protocol

import numpy as np

from eval.detection.detections import listed
from eval.errors import EvalError


class Scene(Protocol):
    """One image's ground truth; a record of a detection data set is one."""

    @property
    def id(self) -> str:
        """Names the image."""

    @property
    def boxes(self) -> Sequence[tuple[float, float, float, float]]:
        """Half-open x0, y0, x1, y1 in pixels, origin 0."""

    @property
    def labels(self) -> Sequence[int]:
        """Class of every box, from 0."""

    @property
    def difficult(self) -> Sequence[bool]:
        """Whether VOC marks the object as difficult."""


@dataclass(frozen=True, eq=False)
class Truth:
    """All G objects in arrays, sorted by group = label * number of images + position of the image among sorted ids."""

    ids: dict[str, int]
    """Position of every image among the sorted ids."""
    classes: int
    labels: np.ndarray
    """[G] classes, from 0."""
    boxes: np.ndarray
    """[G, 4] half-open x0, y0, x1, y1 in pixels, origin 0."""
    difficult: np.ndarray
    """[G] bool."""
    groups: np.ndarray
    """[G] ascending."""

    @property
    def images(self) -> int:
        """How many images there are."""
        return len(self.ids)

    @property
    def positions_of_objects(self) -> np.ndarray:
        """Position of the image of every object: [G]."""
        return np.asarray(self.groups % max(self.images, 1))

    @property
    def areas(self) -> np.ndarray:
        """Of every object, in pixels: [G]."""
        return np.asarray((self.boxes[:, 2:] - self.boxes[:, :2]).prod(axis=1))

    @cached_property
    def starts(self) -> np.ndarray:
        """Where every group's objects begin, and the end: [K * images + 1]."""
        return np.searchsorted(self.groups, np.arange(self.classes * self.images + 1)).astype(np.int32)

    @classmethod
    def of(cls, scenes: Iterable[Scene], classes: int) -> "Truth":
        """The objects of all scenes. EvalError: an id twice, a label outside 0..K-1, a box without (finite) area."""
        found = sorted(scenes, key=lambda scene: scene.id)
        ids = {scene.id: position for position, scene in enumerate(found)}
        if len(ids) < len(found):
            twice = next(one.id for one, two in pairwise(found) if one.id == two.id)
            raise EvalError(f"ground truth: image {twice!r} is there twice")
        for scene in found:
            _check(scene, classes)
        images = np.repeat(np.arange(len(found)), [len(scene.boxes) for scene in found])
        labels = np.array([label for scene in found for label in scene.labels], np.int64)
        boxes = np.array([box for scene in found for box in scene.boxes], np.float64).reshape(-1, 4)
        difficult = np.array([flag for scene in found for flag in scene.difficult], bool)
        groups = labels * len(found) + images
        order = np.argsort(groups, kind="stable")
        return cls(ids, classes, labels[order], boxes[order], difficult[order], groups[order])

    def only(self, kept: np.ndarray) -> "Truth":
        """Without the objects where `kept` [G] is False; the images stay."""
        return replace(
            self,
            labels=self.labels[kept],
            boxes=self.boxes[kept],
            difficult=self.difficult[kept],
            groups=self.groups[kept],
        )

    def positions(self, image_ids: Sequence[str]) -> np.ndarray:
        """Position of every id: [D]. EvalError: an id that is not there."""
        if unknown := set(image_ids) - self.ids.keys():
            shown = listed(sorted(map(str, unknown)))
            raise EvalError(
                f"detections in images without ground truth: {shown}; there are {self.images}{self._hint(unknown)}"
            )
        return np.array([self.ids[image] for image in image_ids], np.int64)

    def _hint(self, unknown: Iterable[object]) -> str:
        """One of the ids; and what became of those that a program has written as numbers, without their zeros."""
        if not self.ids:
            return ""
        first = next(iter(self.ids))
        for one in sorted(map(str, unknown)):
            if (whole := one.zfill(len(first))) in self.ids:
                return f', such as {first}. These ids are text of {len(first)} digits: "{whole}", not {one}'
        return f", such as {first}"


def _check(scene: Scene, classes: int) -> None:
    if not len(scene.boxes) == len(scene.labels) == len(scene.difficult):
        raise EvalError(f"ground truth of image {scene.id!r}: as many labels and difficult flags as boxes expected")
    if not all(0 <= label < classes for label in scene.labels):
        raise EvalError(f"ground truth of image {scene.id!r}: labels {scene.labels}, expected 0 to {classes - 1}")
    if not all(0 < x1 - x0 < inf and 0 < y1 - y0 < inf for x0, y0, x1, y1 in scene.boxes):
        raise EvalError(f"ground truth of image {scene.id!r}: a box without area in {scene.boxes}")
