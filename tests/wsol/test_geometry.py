"""Which pixels a map covers: hand-made boxes there and back."""

import numpy as np
import pytest
from PIL import Image

from core.errors import UserError
from eval.localization import box_iou
from wsol.geometry import Geometry

PAPER = Geometry()


def test_the_papers_crop_covers_the_middle_seven_eighths() -> None:
    assert PAPER.offset == 16
    # An image of 512 x 384: the crop's corner (0, 0) is pixel 16 of 256, that is (32, 24); its end is (480, 360).
    assert PAPER.to_image((0, 0, 224, 224), (512, 384)) == (32, 24, 480, 360)
    assert PAPER.to_crop((32, 24, 480, 360), (512, 384)) == (0, 0, 224, 224)


def test_ground_truth_is_not_clipped_to_the_crop() -> None:
    assert PAPER.to_crop((0, 0, 512, 384), (512, 384)) == (-16, -16, 240, 240)


@pytest.mark.parametrize("geometry", [PAPER, Geometry(64, 64), Geometry(75, 64)])
def test_there_and_back(geometry: Geometry) -> None:
    box, size = (10.0, 20.0, 90.5, 77.0), (333, 187)
    assert geometry.to_image(geometry.to_crop(box, size), size) == pytest.approx(box)


def test_iou_is_the_same_in_the_crop_and_in_the_image() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        size = tuple(rng.integers(30, 600, 2).tolist())
        corners = np.sort(rng.random((2, 2, 2)), axis=1) * size  # two boxes, two corners, x and y
        one, two = (tuple(box.ravel().tolist()) for box in corners)
        in_image = box_iou(np.array([one]), np.array([two]))
        in_crop = box_iou(np.array([PAPER.to_crop(one, size)]), np.array([PAPER.to_crop(two, size)]))
        np.testing.assert_allclose(in_crop, in_image, atol=1e-9)


def test_prepare_shows_the_pixels_that_it_says() -> None:
    pixels = np.zeros((96, 128, 3), np.uint8)
    pixels[24:48, 32:96] = 255  # x 32 to 96 and y 24 to 48
    crop = np.array(Geometry(resize=64, crop=48).prepare(Image.fromarray(pixels)))
    x0, y0, x1, y1 = Geometry(resize=64, crop=48).to_crop((32, 24, 96, 48), (128, 96))
    assert crop.shape == (48, 48, 3)
    ys, xs = np.nonzero(crop[:, :, 0] > 127)
    assert (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) == (x0, y0, x1, y1) == (8, 8, 40, 24)


@pytest.mark.parametrize(("resize", "crop"), [(224, 256), (10, 0)])
def test_impossible_geometries_are_refused(resize: int, crop: int) -> None:
    with pytest.raises(UserError, match="crop <= resize"):
        Geometry(resize, crop)
