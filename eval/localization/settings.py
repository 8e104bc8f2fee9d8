"""What an evaluation depends on: everything here can change a number, nothing else does."""

import math
from dataclasses import dataclass
from typing import Literal

from eval.errors import EvalError

WSOLEVALUATION_SIDE = 224
"""Side in pixels that wsolevaluation scales all annotations to, whatever the size of a map."""
Geometry = Literal["corrected", "compat"]
Scale = Literal["max", "minmax"]


@dataclass(frozen=True)
class Settings:
    """How maps become boxes and boxes become hits."""

    geometry: Geometry = "corrected"
    """"corrected": half-open boxes in pixels of the original image, components only, maps of any size. "compat":
    wsolevaluation's numbers to the bit, its quirks included (docs/wsol.md lists them)."""
    threshold: float = 0.15
    """The fixed threshold, as a fraction of `scale`."""
    scale: Scale = "max"
    """What a threshold is a fraction of: a map's maximum ("max", the CutMix paper, wsolevaluation), or the way from its
    minimum to its maximum ("minmax"). The same for maps whose minimum is 0. compat knows "max" only."""
    levels: int | Literal["exact"] = 1000
    """Thresholds k / levels for maps of floats; "exact": every distinct value of a map (which takes 8 log2(L) bytes for
    each of a map's L values: 40 MiB at 512 x 512, .7 GiB at 2048 x 2048). 8-bit maps are always exact in corrected;
    compat evaluates at the levels thresholds 0, 1 / levels, ... as wsolevaluation does."""
    ious: tuple[float, ...] = (0.3, 0.5, 0.7)
    """What MaxBoxAcc and MaxBoxAccV2 ask for: IoU at least this."""
    loc_iou: float = 0.5
    """What GT-known, top-1 and top-5 Loc ask for: IoU above this."""

    def __post_init__(self) -> None:
        """Check the fields; EvalError."""
        if self.geometry not in ("corrected", "compat") or self.scale not in ("max", "minmax"):
            raise EvalError(
                f"geometry {self.geometry!r}, scale {self.scale!r}: expected corrected or compat, max or minmax"
            )
        if self.geometry == "compat" and (self.scale != "max" or self.levels == "exact"):
            raise EvalError("compat knows scale max and a number of levels only (100 or 1000 in wsolevaluation)")
        if not 0.0 <= self.threshold < 1.0:
            raise EvalError(f"threshold must lie in [0, 1), got {self.threshold}")
        if self.levels != "exact" and not 1 <= self.levels <= 60_000:
            raise EvalError(f"levels must be 'exact' or a number from 1 to 60,000, got {self.levels}")
        if self.levels != "exact" and abs(self.threshold * self.levels - round(self.threshold * self.levels)) > 1e-6:
            raise EvalError(
                f"the fixed threshold {self.threshold} is none of the thresholds k / {self.levels}; "
                "expected one of them, more levels, or levels 'exact'"
            )
        if not self.ious or not all(0.0 < iou <= 1.0 and math.isfinite(iou) for iou in (*self.ious, self.loc_iou)):
            raise EvalError(f"IoU thresholds must lie in (0, 1], got {self.ious} and {self.loc_iou}")
