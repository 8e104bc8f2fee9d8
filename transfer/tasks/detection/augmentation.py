"""SSD's augmentation of training images: zoom out, crop around an object, flip, distort the colours, resize."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from core.data.records import Box
from transfer.tasks.detection.colours import Distortion
from transfer.tasks.detection.views import Augmentation, Drawn, Window

_TRIALS = 40  # for a crop of one overlap, before another is drawn; torchvision's
_ROUNDS = 50  # of overlaps, before the whole image is taken


@dataclass(frozen=True)
class SSDAugmentation(Augmentation):
    """SSD's augmentation (Liu et al., arXiv 1512.02325, sec. 2.2 and 3.6), ending in a square.

    The image is zoomed out and cropped, flipped, resized; its colours are distorted. Objects whose centre is cropped
    away are dropped. The default overlaps are those that ssd.pytorch lists; the paper has .5 as well. ssd.pytorch's own
    test for them never refuses a crop (it compares with an infinite upper limit), so that what it does in effect is
    overlaps=(0, 0, 0, 0, 0, 1); here they are asked for, as in the paper.

    What is drawn is distributed as by torchvision's v2 transforms RandomPhotometricDistort, RandomZoomOut,
    RandomIoUCrop, RandomHorizontalFlip, Resize, SanitizeBoundingBoxes, in this order. What is done differs in this, for
    speed: colours are distorted last, on the resized part of the image alone, so that the contrast's mean grey is that
    of the part; and the edges of a zoomed-out image lie on whole pixels. Where v2 would draw for ever (no overlap can
    be had), and for an image without objects, there is no crop.
    """

    colours: bool = True
    """Whether brightness, contrast, saturation, hue and the order of channels vary."""
    zoom: float = 4.0
    """Largest canvas around the image, in sides of the image, with probability 1/2; 1: none."""
    overlaps: tuple[float, ...] = (0.1, 0.3, 0.7, 0.9, 0.0, 1.0)
    """IoU with an object that a crop must have, one drawn for each image; 1 means no crop. Empty: never a crop."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.zoom < 1:
            raise ValueError(f"SSDAugmentation: zoom: expected 1 (none) or more, got {self.zoom}")
        if any(not 0 <= overlap <= 1 for overlap in self.overlaps):
            raise ValueError(f"SSDAugmentation: overlaps: expected IoUs from 0 to 1, got {self.overlaps}")

    def draw(self, height: int, width: int, boxes: Sequence[Box], rng: random.Random) -> Drawn:
        """A view of an image of this size with these boxes; its window may reach beyond the image."""
        canvas = self._canvas(height, width, rng)
        window, kept = self._crop(canvas, boxes, rng)
        flipped = rng.random() < 0.5
        colours = Distortion.drawn(rng) if self.colours else None
        return Drawn(window, flipped, kept, smallest=1.0, colours=colours)

    def _canvas(self, height: int, width: int, rng: random.Random) -> Window:
        if self.zoom == 1 or rng.random() >= 0.5:
            return Window(0, 0, width, height)
        ratio = rng.uniform(1.0, self.zoom)
        w, h = int(width * ratio), int(height * ratio)
        return Window(-int((w - width) * rng.random()), -int((h - height) * rng.random()), w, h)

    def _crop(self, canvas: Window, boxes: Sequence[Box], rng: random.Random) -> tuple[Window, tuple[int, ...] | None]:
        for _ in range(_ROUNDS if boxes and self.overlaps else 0):
            overlap = rng.choice(self.overlaps)
            if overlap == 1.0:
                break
            for _ in range(_TRIALS):
                window = _within(canvas, rng)
                if window is not None and (kept := _seen(window, boxes, overlap)):
                    return window, kept
        return canvas, None


def _within(canvas: Window, rng: random.Random) -> Window | None:
    """A window of .3 to 1 of the canvas's sides, anywhere in it; None where its aspect ratio is beyond 1/2 to 2."""
    width, height = int(canvas.width * rng.uniform(0.3, 1.0)), int(canvas.height * rng.uniform(0.3, 1.0))
    if not 0 < height <= 2 * width <= 4 * height:
        return None
    left = canvas.left + int((canvas.width - width) * rng.random())
    return Window(left, canvas.top + int((canvas.height - height) * rng.random()), width, height)


def _seen(window: Window, boxes: Sequence[Box], overlap: float) -> tuple[int, ...]:
    """The boxes whose centre is inside; none where none of these has at least this IoU with the window."""
    left, top = window.left, window.top
    right, bottom = left + window.width, top + window.height
    kept, best = [], -1.0
    for i, (x0, y0, x1, y1) in enumerate(boxes):
        if left < (x0 + x1) / 2 < right and top < (y0 + y1) / 2 < bottom:
            kept.append(i)
            inside = (min(x1, right) - max(x0, left)) * (min(y1, bottom) - max(y0, top))
            best = max(best, inside / ((x1 - x0) * (y1 - y0) + window.width * window.height - inside))
    return tuple(kept) if best >= overlap else ()
