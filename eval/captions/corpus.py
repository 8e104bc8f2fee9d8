"""Captions as tokens, checked, and what every caption metric gives.

Letters: N images, R resamples.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from eval.errors import EvalError

Id = TypeVar("Id", bound=Hashable)
_CELLS = 1 << 23  # images times resamples at once: 64 MB as float64


@dataclass(frozen=True)
class Corpus:
    """One caption an image and its references, as tokens joined by blanks."""

    images: tuple[Hashable, ...]
    """[N] ids."""
    candidates: tuple[str, ...]
    """[N]; a caption without words is an empty string."""
    references: tuple[tuple[str, ...], ...]
    """[N], at least one each."""


class Metric(ABC):
    """What a metric says of a corpus. Keys are the names that tables print; numbers are as the COCO server has them."""

    values: Mapping[str, float]
    """Of the whole corpus."""
    per_image: Mapping[str, NDArray[np.float64]]
    """[N] each, in the corpus's order."""

    @abstractmethod
    def __init__(self, corpus: Corpus) -> None:
        """Compute it."""

    @classmethod
    def require(cls) -> None:
        """EvalError: something that the metric needs is not on this machine. Asked before anything is computed."""
        return

    @abstractmethod
    def resampled(self, weights: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        """The corpus's numbers where image n counts weights[n, r] times: [R] each."""


class MeanMetric(Metric):
    """A metric whose number for the corpus is the mean over its images."""

    def __init__(self, name: str, per_image: NDArray[np.float64], value: float) -> None:
        """per_image: [N]; value: their mean, as the metric's own program rounds it."""
        self.values = {name: value}
        self.per_image = {name: per_image}

    def resampled(self, weights: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
        """Means over the drawn images. What an image's number takes from the others (CIDEr's frequencies) is held."""
        counts = summed(np.ones((len(weights), 1)), weights)[:, 0]
        return {key: summed(each[:, None], weights)[:, 0] / counts for key, each in self.per_image.items()}


def summed(statistics: NDArray[np.float64], weights: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Sums over the images of every resample: [N, S] and [N, R] -> [R, S]."""
    wide = max(1, _CELLS // max(len(weights), 1))
    blocks = range(0, weights.shape[1], wide)
    return np.concatenate([weights[:, at : at + wide].T.astype(np.float64) @ statistics for at in blocks])


def check(candidates: Mapping[Id, str], references: Mapping[Id, Sequence[str]]) -> None:
    """EvalError: images that only one side has, no images, a caption that is no text, no reference or an empty one."""
    for fault, images in (
        ("have a caption but no references", candidates.keys() - references.keys()),
        ("have references but no caption", references.keys() - candidates.keys()),
    ):
        if images:
            raise EvalError(f"captions: {len(images)} images {fault}: {_shown(images)}")
    if not candidates:
        raise EvalError("captions: no images")
    for image, candidate in candidates.items():
        if not isinstance(candidate, str):
            raise EvalError(f"captions: image {image!r}: the caption is {candidate!r}, expected a text")
    for image, texts in references.items():
        if isinstance(texts, str) or not texts:
            raise EvalError(f"captions: image {image!r}: references are {texts!r}, expected a list of at least one")
        if not all(isinstance(text, str) for text in texts):
            raise EvalError(f"captions: image {image!r}: references are {list(texts)}, expected texts")
        if not all(text.strip() for text in texts):
            raise EvalError(f"captions: image {image!r} has an empty reference: {list(texts)}")


def _shown(images: set[Id]) -> str:
    """The first ten."""
    try:
        ordered: list[Id] = sorted(images)  # type: ignore[type-var]
    except TypeError:
        ordered = sorted(images, key=str)
    return ", ".join(map(str, ordered[:10])) + (", ..." if len(images) > 10 else "")
