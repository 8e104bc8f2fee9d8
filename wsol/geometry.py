"""Which pixels of an image a network sees, and so which pixels a score map covers.

Every geometry here lays the image on a canvas, resized and perhaps padded, and takes the canvas's central ``crop`` x
``crop`` pixels:

- `Geometry`: the image squashed to a square. The CutMix paper's test has 256 and 224; wsolevaluation's 224 and 224.
- `ShortSide`: its short side resized, its aspect ratio kept: the usual test of ImageNet classifiers.
- `Letterbox`: its long side resized, the rest of the square filled: the whole image, its aspect ratio kept.

`window` says what the crop covers in pixels of the original image, and all else follows from it: one scale and one
shift per axis, so the IoU of two boxes is the same in the crop's pixels as in the original's, provided that nothing is
clipped or rounded. The evaluator therefore carries ground truth into the map's pixels unrounded and *not clipped* to
the crop (it may reach beyond), and scoring there is scoring in original pixels. A centre crop thus costs what it hides:
an object that fills the image cannot be boxed whole.

Boxes are (x0, y0, x1, y1), half-open. Where a crop cannot be in the very middle it starts where torchvision's
CenterCrop does (half a pixel is rounded to even), so that a network sees here what it saw in its test there.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

Box = tuple[float, float, float, float]
_MEAN_COLOUR = (124, 116, 104)


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

    def resized(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height in pixels that an image of ``size`` (width, height) is resized to."""
        return self.resize, self.resize

    def corner(self, size: tuple[int, int]) -> tuple[int, int]:
        """Column and row of the crop's first pixel in the resized image; negative where the crop is padded."""
        width, height = self.resized(size)
        return _middle(width - self.crop), _middle(height - self.crop)

    def prepare(self, image: "Image.Image") -> "Image.Image":
        """Return the crop of an image of any size, bilinear with antialiasing."""
        from PIL import Image

        x, y = self.corner(image.size)
        resized = image.resize(self.resized(image.size), Image.Resampling.BILINEAR)
        return resized.crop((x, y, x + self.crop, y + self.crop))

    def window(self, size: tuple[int, int], annotated: tuple[int, int] | None = None) -> Box:
        """What the crop covers of an image: pixels of that image; the window reaches beyond it where it is padded.

        Args:
            size: (width, height) of the image as it is stored.
            annotated: the size in whose pixels the answer is wanted, where the file was resized after its boxes were
                made (`ImageRecord.size`); default `size`.
        """
        (width, height), (x, y) = self.resized(size), self.corner(size)
        wide, high = annotated or size
        sx, sy = wide / width, high / height
        return (x * sx, y * sy, (x + self.crop) * sx, (y + self.crop) * sy)


@dataclass(frozen=True)
class ShortSide(Geometry):
    """Resize the short side to ``resize`` pixels, then the central ``crop`` pixels square.

    The sizes are torchvision's (the long side rounded down), the pixels Pillow's.
    """

    resize: int = 256
    """Length in pixels that the short side is resized to, the aspect ratio kept."""

    def resized(self, size: tuple[int, int]) -> tuple[int, int]:
        """See `Geometry.resized`."""
        width, height = size
        if width <= height:
            return self.resize, self.resize * height // width
        return self.resize * width // height, self.resize


@dataclass(frozen=True)
class Letterbox(Geometry):
    """Resize the long side to ``resize`` pixels, pad to a square, then the central ``crop`` pixels square.

    What is padded has ImageNet's mean colour, which is about 0 for the network.
    """

    resize: int = 224
    """Length in pixels that the long side is resized to, the aspect ratio kept."""

    def resized(self, size: tuple[int, int]) -> tuple[int, int]:
        """See `Geometry.resized`."""
        width, height = size
        if width >= height:
            return self.resize, max(1, round(self.resize * height / width))
        return max(1, round(self.resize * width / height)), self.resize

    def prepare(self, image: "Image.Image") -> "Image.Image":
        """See `Geometry.prepare`."""
        from PIL import Image

        x, y = self.corner(image.size)
        canvas = Image.new("RGB", (self.crop, self.crop), _MEAN_COLOUR)
        canvas.paste(image.resize(self.resized(image.size), Image.Resampling.BILINEAR), (-x, -y))
        return canvas


def _middle(excess: int) -> int:
    return round(excess / 2)
