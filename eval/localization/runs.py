"""Step functions of the threshold, one for each image, kept together: what remains of a score map.

For one image the box of the largest component, and the best IoU of any component, are constant between the map's
values. A run is such a piece: run r of an image holds for thresholds `ends[r - 1] < t <= ends[r]` (the mask is
`map >= t`, so a run is closed above), the first one from below. The last end is at least 1. Thresholds are fractions of
the scale (`Settings.scale`).

Letters: N images, R runs of all images together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Runs:
    """The step functions of N images."""

    offsets: np.ndarray
    """[N + 1] int64: image i has the runs offsets[i] to offsets[i + 1]; at least one each."""
    ends: np.ndarray
    """[R] float64, ascending within an image."""
    iou: np.ndarray
    """[R] float64: with the best ground-truth box."""
    boxes: np.ndarray
    """[R, 4] int32, map pixels, half-open x0, y0, x1, y1; [0, 4] where boxes are not kept (any component)."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def at(self, threshold: float) -> np.ndarray:
        """The run of each image that holds at a threshold: [N] indices into `ends`, `iou`, `boxes`."""
        below = np.concatenate([[0], np.cumsum(self.ends < threshold)])  # [R + 1]
        found = self.offsets[:-1] + below[self.offsets[1:]] - below[self.offsets[:-1]]
        return np.asarray(np.minimum(found, self.offsets[1:] - 1))


def join(parts: Sequence[Runs]) -> Runs:
    """The runs of all images of several parts, in their order."""
    lengths = np.concatenate([np.diff(part.offsets) for part in parts]) if parts else np.zeros(0, np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    empty = Runs(np.zeros(1, np.int64), np.empty(0), np.empty(0), np.empty((0, 4), np.int32))
    some = parts or [empty]
    ends, iou, boxes = (np.concatenate([getattr(part, name) for part in some]) for name in ("ends", "iou", "boxes"))
    return Runs(offsets, ends, iou, boxes)
