"""How far two predictions are apart, with an interval: both are resampled with the same images."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

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


@dataclass(frozen=True)
class Differences:
    """Of several numbers of two predictions."""

    against: str
    """The other predictions."""
    resamples: int
    seed: int
    values: Mapping[str, Difference]

    def text(self, titles: Mapping[str, str]) -> str:
        """A line for each number, under the name of the other predictions; titles: what people call the numbers."""
        lines: list[Line] = [
            [
                titles[name], one.first, one.second, f"{one.value:+.2f}",
                f"{one.interval[0]:+.2f} to {one.interval[1]:+.2f}", 100 * one.share_above,
            ]
            for name, one in self.values.items()
        ]  # fmt: skip
        table = columns(["", "this", "other", "difference", "95%", "% above 0"], lines)
        return f"against {self.against}, in the same {self.resamples} resamples of the images\n{table}"

    def as_json(self) -> dict[str, Any]:
        """All of it; each number by its key."""
        known = {"against": self.against, "resamples": self.resamples, "seed": self.seed}
        return known | {name: asdict(one) for name, one in self.values.items()}
