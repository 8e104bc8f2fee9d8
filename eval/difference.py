"""How far two predictions are apart, with an interval: both are resampled with the same images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
