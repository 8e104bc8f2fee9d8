"""Runs made by hand or by hypothesis, and what they say, read off one image and one threshold at a time."""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from eval.localization.runs import Runs

Image = list[tuple[float, float]]
"""(end, IoU) of each run, ascending."""
VALUES = [0.0, 0.1, 0.3, 0.5, 0.6, 0.7, 1.0]
"""IoUs, among them those that measures ask for."""


@st.composite
def images(draw: st.DrawFn, most: int = 6) -> list[Image]:
    """Step functions, some of which begin below 0 or go on above 1."""
    ends = st.lists(
        st.one_of(st.integers(0, 12).map(lambda k: k / 12), st.floats(0, 1), st.sampled_from([-np.inf, -0.25])),
        unique=True,
        max_size=6,
    )
    found = []
    for _ in range(draw(st.integers(1, most))):
        steps = sorted(draw(ends))
        steps = [*(step for step in steps if step < 1), draw(st.sampled_from([1.0, 1.5]))]
        found.append([(step, draw(st.sampled_from(VALUES))) for step in steps])
    return found


def runs(some: Sequence[Image], boxes: np.ndarray | None = None) -> Runs:
    """As `Runs`; boxes [R, 4], else none are kept."""
    flat = np.array([run for image in some for run in image], np.float64).reshape(-1, 2)
    offsets = np.cumsum([0, *map(len, some)]).astype(np.int64)
    kept = np.empty((0, 4), np.int32) if boxes is None else boxes
    return Runs(offsets, flat[:, 0].copy(), flat[:, 1].copy(), kept)


def iou_at(image: Image, threshold: float) -> float:
    """The IoU of the run that holds."""
    return next(iou for end, iou in image if threshold <= end)


def every_threshold(some: Sequence[Image]) -> list[float]:
    """One threshold of each piece on which nothing changes: its upper end; from 0 to 1, ascending."""
    return sorted({1.0, *(end for image in some for end, _ in image if 0 <= end <= 1)})
