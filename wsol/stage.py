"""A backbone -> score maps -> boxes -> how well they localise.

Class of the map: the ground-truth class. GT-known Loc asks for it by name, and top-1 Loc counts an image only where the
predicted class *is* the ground-truth one, so one map serves both. MaxBoxAccV2 also takes it, as wsolevaluation does.

Boxes are compared in the pixels of the original image; a map knows which of them it covers (`wsol/geometry.py`). This
module needs no torch; `wsol/run.py` does.
"""

from collections.abc import Callable
from dataclasses import dataclass

from core.data.records import DataSet, ImageRecord, Need
from core.errors import UserError
from core.stage import Stage
from wsol.cam.base import CAM
from wsol.geometry import Geometry


@dataclass(frozen=True, kw_only=True)
class Localize(Stage):
    """A classifier's localization of one split."""

    data: DataSet[ImageRecord]
    """The data set; its classes are the head's."""
    split: str
    """The split to localise; every image needs at least one box."""
    geometry: Geometry
    """Which part of an image the network sees."""
    cam: CAM
    """How score maps are made."""
    layer4_stride1: bool = True
    """Let layer4 keep layer3's resolution (14 x 14 maps at 224 pixels), as the paper does."""
    threshold: float = 0.15
    """Fraction of the map's maximum that belongs to the object (the paper's sigma)."""
    subtract_minimum: bool = False
    """Take that fraction between the map's minimum and its maximum, rather than between zero and its maximum.

    The paper says ".15 of its maximum" and not whether maps are min-max scaled before; False is its wording.
    MaxBoxAcc and MaxBoxAccV2 are always taken from min-max scaled maps, as their definition says.
    """
    batch_size: int = 64
    """Images in one forward pass."""

    def __post_init__(self) -> None:
        """Check the fields."""
        super().__post_init__()
        if not 0.0 < self.threshold < 1.0 or self.batch_size < 1:
            raise UserError(f"expected 0 < threshold < 1 and batch_size >= 1, got {self.threshold}, {self.batch_size}")

    def needs(self) -> tuple[Need, ...]:
        """The split that is localised."""
        return (Need(self.data, self.split, boxes=True),)

    def images(self, count: Callable[[Need], int]) -> int:
        """Every image once."""
        return count(self.needs()[0])
