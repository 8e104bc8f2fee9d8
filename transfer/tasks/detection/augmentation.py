"""What happens to training images of a detector, beside resizing and flips."""

from dataclasses import dataclass
from typing import Any

from torchvision.transforms import v2

from transfer.tasks.detection.data import flip

FILL = (124, 116, 104)  # ImageNet's mean colour in RGB: what the canvas around a zoomed-out image is painted with


@dataclass(frozen=True)
class SSDAugmentation:
    """SSD's augmentation (Liu et al., arXiv 1512.02325, sec. 2.2 and 3.6), ending in a square.

    Colours are distorted, the image is zoomed out and cropped, flipped, resized. Objects whose centre is cropped away
    are dropped, so an image may end with none. ssd.pytorch lists the same overlaps for its crops, but its test for them
    never refuses one (it compares with an infinite upper limit); the paper's rule is used here.
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

    def build(self, side: int) -> Any:
        """The torchvision v2 transform of {"image", "boxes", "labels"} to squares of `side` pixels."""
        steps: list[Any] = []
        if self.colours:
            steps.append(v2.RandomPhotometricDistort())
        if self.zoom > 1:
            steps.append(v2.RandomZoomOut(fill=list(FILL), side_range=(1.0, self.zoom), p=0.5))
        if self.overlaps:
            steps.append(v2.RandomIoUCrop(sampler_options=list(self.overlaps)))
        resize = v2.Resize([side, side], antialias=True)
        return v2.Compose([*steps, flip(), resize, v2.SanitizeBoundingBoxes(min_size=1.0)])
