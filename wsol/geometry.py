"""Which pixels of an image a network sees, and so which pixels a score map covers.

An image of any size is squashed to ``resize`` x ``resize`` and its central ``crop`` x ``crop`` pixels are taken: the
CutMix paper's test geometry is 256 and 224; wsolevaluation's is 224 and 224 (the whole image).

Boxes are (x0, y0, x1, y1), half-open. Squash and crop are one scale and one shift per axis, so the IoU of two boxes is
the same in the crop's pixels as in the original's, provided that nothing is clipped or rounded: ground truth is
therefore carried into the crop's pixels *unclipped* and unrounded (it may reach beyond the crop), and scoring there
is scoring in original pixels. A centre crop thus costs what it hides: an object that fills the image cannot be boxed
whole.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Geometry:
    """Squash to ``resize`` pixels square, then the central ``crop`` pixels square."""

    resize: int = 256
    """Side in pixels that the whole image is squashed to, its aspect ratio not kept."""
    crop: int = 224
    """Side in pixels of the central part that the network sees."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if not 1 <= self.crop <= self.resize:
            raise UserError(f"geometry: expected 1 <= crop <= resize, got crop {self.crop} and resize {self.resize}")

    @property
    def offset(self) -> int:
        """First row and column of the crop in the squashed image."""
        return (self.resize - self.crop) // 2

    def prepare(self, image: "Image.Image") -> "Image.Image":
        """Return the crop of an image of any size, bilinear with antialiasing."""
        from PIL import Image

        squashed = image.resize((self.resize, self.resize), Image.Resampling.BILINEAR)
        end = self.offset + self.crop
        return squashed.crop((self.offset, self.offset, end, end))

    def to_crop(self, box: Box, size: tuple[int, int]) -> Box:
        """Carry a box from the pixels of an image of ``size`` (width, height) to the crop's; not clipped."""
        sx, sy, o = self.resize / size[0], self.resize / size[1], self.offset
        return (box[0] * sx - o, box[1] * sy - o, box[2] * sx - o, box[3] * sy - o)

    def to_image(self, box: Box, size: tuple[int, int]) -> Box:
        """Carry a box from the crop's pixels to those of the image of ``size`` (width, height)."""
        sx, sy, o = size[0] / self.resize, size[1] / self.resize, self.offset
        return ((box[0] + o) * sx, (box[1] + o) * sy, (box[2] + o) * sx, (box[3] + o) * sy)
