"""Boxes that a detector found, as arrays."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from eval.errors import EvalError

ONE_BASED = np.array([1.0, 1.0, 0.0, 0.0])  # half-open, origin 0 -> both ends inside, origin 1


class UnknownCategory(EvalError):
    """A category id that the ground truth has not."""


class NoDetections(UserWarning):
    """There is nothing to score: numbers are 0."""


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes found in any number of images, in any order."""

    image_ids: Sequence[str]
    labels: np.ndarray
    """[D] classes, from 0."""
    scores: np.ndarray
    """[D] from 0 to 1."""
    boxes: np.ndarray
    """[D, 4] half-open x0, y0, x1, y1 in pixels, origin 0."""

    def __post_init__(self) -> None:
        count = len(self.image_ids)
        for name, kind, shape in (
            ("labels", np.int64, (count,)),
            ("scores", np.float64, (count,)),
            ("boxes", np.float64, (count, 4)),
        ):
            array = _array(name, getattr(self, name), kind, shape)
            object.__setattr__(self, name, array)
        finite = np.isfinite(self.scores) & np.isfinite(self.boxes).all(axis=1)
        proper = (self.boxes[:, 2:] >= self.boxes[:, :2]).all(axis=1)
        for good, fault in (
            (finite, "a score or box that is not finite"),
            ((self.scores >= 0) & (self.scores <= 1), "a score outside 0 to 1"),
            (proper, "a box whose end precedes its start"),
        ):
            if not good.all():
                at = int(np.argmin(good))
                corners = " ".join(f"{corner:.10g}" for corner in self.boxes[at])
                raise EvalError(
                    f"image {self.image_ids[at]!r}: {fault}: score {self.scores[at]:.10g}, corners {corners}"
                )

    @classmethod
    def from_coco(
        cls, results: Iterable[Mapping[str, Any]], categories: Mapping[int, int] | None = None
    ) -> "Detections":
        """From COCO's list of results, boxes x, y, width, height.

        Args:
            results: dictionaries of image_id, category_id, bbox, score.
            categories: the label of every `category_id`; without it the id is the label, from 0.
        """
        found = list(results)
        try:
            boxes = np.array([result["bbox"] for result in found], dtype=np.float64).reshape(len(found), 4)
            boxes[:, 2:] += boxes[:, :2]
            numbers = [result["category_id"] for result in found]
            scores = np.array([result["score"] for result in found])
            image_ids = [str(result["image_id"]) for result in found]
        except (KeyError, TypeError, ValueError) as error:
            raise EvalError(
                f"detections: expected image_id, category_id, bbox, score in every entry: {error}"
            ) from None
        return cls(image_ids, np.array(labels_of(numbers, categories)), scores, boxes)

    def ranking(self, images: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Positions, best score first: [D]. Of equal scores, the smaller image, then the smaller x0, y0, x1, y1.

        Whatever order the detections were given in, the same boxes come out in the same order.

        Args:
            images: [D] position of the image among the sorted ids. scores: [D] as they are to be compared.
        """
        order = np.argsort(-scores)  # not stable, and three times as fast; equal scores are ordered below
        tied = _repeated(scores[order])
        some = order[tied]
        order[tied] = some[np.lexsort((images[some], -scores[some]))]
        tied = _repeated(scores[order], images[order])
        some = order[tied]
        keys = (self.labels, *self.boxes.T[::-1], images, -scores)
        order[tied] = some[np.lexsort([some, *(key[some] for key in keys)])]
        return order


def _repeated(*columns: np.ndarray) -> np.ndarray:
    """Where a row of sorted columns equals the one before or after it: [D] bool."""
    same = np.ones(max(len(columns[0]) - 1, 0), bool)
    for column in columns:
        same &= column[1:] == column[:-1]
    return np.append(same, False) | np.append(False, same) if len(columns[0]) else same


def labels_of(numbers: Sequence[int], categories: Mapping[int, int] | None) -> Sequence[int]:
    """The labels of category ids; without `categories` the ids themselves. UnknownCategory: an id that is not there."""
    if categories is None:
        return numbers
    try:
        return [categories[number] for number in numbers]
    except (KeyError, TypeError) as error:
        raise UnknownCategory(
            f"detections: category_id {error} is not known; there are {listed(sorted(categories))}"
        ) from None


def listed(names: Iterable[object]) -> str:
    """The first twenty, and how many there are where there are more."""
    shown = [str(name) for name in names]
    return ", ".join(shown[:20]) + (f", ... ({len(shown)})" if len(shown) > 20 else "")


def _array(name: str, values: ArrayLike, kind: type, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(values) if len(np.atleast_1d(values)) else np.zeros(shape, kind)
    whole = kind is not np.int64 or np.issubdtype(array.dtype, np.integer)
    if array.shape != shape or not whole or not np.issubdtype(array.dtype, np.number):
        raise EvalError(
            f"detections: {name} are {array.dtype} of shape {array.shape}, expected {kind.__name__} {shape}"
        )
    return array.astype(kind)
