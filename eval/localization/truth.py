"""What is known of an image, and a score map of it: what every evaluation is given."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from eval.errors import EvalError

Window = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels of the original image, half-open: what a score map covers. It may reach beyond the image."""


def _no_boxes() -> np.ndarray:
    return np.empty((0, 4))


@dataclass(frozen=True, eq=False)
class Truth:
    """One image's annotation: boxes, or masks."""

    id: str
    size: tuple[int, int]
    """(width, height) in pixels."""
    boxes: np.ndarray = field(default_factory=_no_boxes)
    """[G, 4] float64: x0, y0, x1, y1 in pixels of the image, half-open, not clipped."""
    label: int | None = None
    """The class, 0-based; None: not known."""
    masks: tuple[Path, ...] = ()
    """Mask files, one for each instance; their union is the object."""
    ignore: Path | None = None
    """Mask file of pixels that count neither way (the object's own are never ignored)."""

    def __post_init__(self) -> None:
        """Take boxes as anything that makes an array; its shape is checked later. EvalError: they make none."""
        try:
            object.__setattr__(self, "boxes", np.asarray(self.boxes, np.float64))
        except (TypeError, ValueError):
            message = f"{self.id}: boxes {self.boxes!r:.200}, expected rows of four numbers, x0, y0, x1, y1"
            raise EvalError(message) from None


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """One image's score map, as a source gives it."""

    id: str
    values: np.ndarray
    """[H, W] uint8, float16, float32 or float64; higher is more of the object."""
    window: Window | None = None
    """What the map covers; None: the whole image."""
    ranked: Sequence[int] | None = None
    """The classifier's classes, best first (1 to 5 or more); None: not known."""

    def __post_init__(self) -> None:
        """EvalError names the image: classes that are no sequence."""
        if self.ranked is not None and not hasattr(self.ranked, "__len__"):
            raise EvalError(f"{self.id}: ranked classes {self.ranked!r:.100}, expected a sequence, the best one first")
