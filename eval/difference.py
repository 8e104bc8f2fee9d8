"""How far two predictions are apart, with an interval: both are resampled with the same images."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.columns import Line, columns
from eval.localization.bootstrap import Interval, interval


@dataclass(frozen=True)
class Difference:
    """Of a number of two predictions on the same images, in percent."""

    first: float
    second: float
    value: float
    """First minus second, percentage points."""
    interval: Interval
    """95%, of the differences within each resample."""
    share_above: float
    """Of the resamples, the share with a difference above 0."""

    @classmethod
    def of(
        cls, values: tuple[float, float], resamples: tuple[NDArray[np.float64], NDArray[np.float64]]
    ) -> "Difference":
        """From both numbers on the whole set, and in the same resamples ([R] each)."""
        differences = resamples[0] - resamples[1]
        return cls(*values, values[0] - values[1], interval(differences), float(np.mean(differences > 0)))


def compared(found: Mapping[str, Difference], titles: Mapping[str, str], against: str) -> str:
    """A line for each number, under the name of the other predictions; titles: what people call the numbers."""
    lines: list[Line] = [
        [
            titles[name], one.first, one.second, f"{one.value:+.2f}",
            f"{one.interval[0]:+.2f} to {one.interval[1]:+.2f}", 100 * one.share_above,
        ]
        for name, one in found.items()
    ]  # fmt: skip
    table = columns(["", "this", "other", "difference", "95%", "% above 0"], lines)
    return f"against {against}, in the same resamples\n{table}"
