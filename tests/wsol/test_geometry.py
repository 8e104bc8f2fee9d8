"""Which pixels a map covers: windows by hand, the pixels that a crop shows, and torchvision's own crops."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from core.config import plain
from core.errors import UserError
from wsol.geometry import Box, Geometry, Letterbox, ShortSide

PAPER = Geometry()
GEOMETRIES = [
    PAPER, Geometry(64, 64), Geometry(75, 64), ShortSide(), ShortSide(75, 64), Letterbox(), Letterbox(256, 224),
    Letterbox(75, 64),
]  # fmt: skip
SIZES = [(333, 187), (187, 333), (500, 500), (64, 1000)]


def _to_crop(geometry: Geometry, box: Box, size: tuple[int, int]) -> Box:
    """From an image's pixels to the crop's: the map that takes the window to the crop, as the evaluator uses it."""
    x0, y0, x1, y1 = geometry.window(size)
    sx, sy = geometry.crop / (x1 - x0), geometry.crop / (y1 - y0)
    return ((box[0] - x0) * sx, (box[1] - y0) * sy, (box[2] - x0) * sx, (box[3] - y0) * sy)


def test_the_papers_crop_covers_the_middle_seven_eighths() -> None:
    # An image of 512 x 384: the crop's corner (0, 0) is pixel 16 of 256, that is (32, 24); its end is (480, 360).
    assert PAPER.window((512, 384)) == (32, 24, 480, 360)


def test_the_short_sides_crop_is_a_square_of_the_image() -> None:
    # 512 x 384 becomes 341 x 256; the crop is columns round(58.5) = 58 to 282 and rows 16 to 240 of it.
    x0, y0, x1, y1 = ShortSide().window((512, 384))
    assert (y0, y1) == (24, 360)
    assert (x0, x1) == pytest.approx((58 * 512 / 341, 282 * 512 / 341))


def test_a_letterbox_reaches_beyond_the_image() -> None:
    # 448 x 224 becomes 224 x 112, with 56 rows above and below, which are 112 of the image's.
    assert Letterbox().window((448, 224)) == (0, -112, 448, 336)
    assert Letterbox().window((224, 448)) == (-112, 0, 336, 448)


def test_a_file_that_was_resized_after_it_was_annotated() -> None:
    assert PAPER.window((224, 224), (512, 384)) == (32, 24, 480, 360)
    # The file is a square: its short side is all of it, whatever the annotated size was.
    assert ShortSide().window((224, 224), (512, 384)) == (32, 24, 480, 360)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_the_window_is_where_the_crops_pixels_come_from(geometry: Geometry, size: tuple[int, int]) -> None:
    """Red grows with x and green with y, evenly, which resizing keeps: a pixel's colour says where it comes from."""
    ramps = [(np.arange(length) + 0.5) / length * 255 for length in size]
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = np.rint(ramps[0])[None], np.rint(ramps[1])[:, None]
    crop = np.array(geometry.prepare(Image.fromarray(pixels))).astype(float)
    window, middle = geometry.window(size), geometry.crop // 2
    for axis, colours in enumerate((crop[middle, :, 0], crop[:, middle, 1])):
        start, step = window[axis], (window[axis + 2] - window[axis]) / geometry.crop
        there = start + (np.arange(geometry.crop) + 0.5) * step
        inside = (there > max(1, step)) & (there < size[axis] - max(1, step))  # at the edges filters are cut off
        assert inside.any()
        np.testing.assert_allclose(colours[inside], there[inside] / size[axis] * 255, atol=1.01)


@pytest.mark.parametrize("geometry", [Geometry(64, 48), ShortSide(64, 48), Letterbox(64, 48), Letterbox(64, 64)])
@pytest.mark.parametrize("size", [(128, 96), (96, 128)])
def test_prepare_shows_the_pixels_that_it_says(geometry: Geometry, size: tuple[int, int]) -> None:
    pixels = np.zeros((size[1], size[0], 3), np.uint8)
    pixels[24:60, 33:66] = 255
    crop = np.array(geometry.prepare(Image.fromarray(pixels)))
    assert crop.shape == (geometry.crop, geometry.crop, 3)
    ys, xs = np.nonzero(crop[:, :, 0] > 127)
    found = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    expected = np.clip(_to_crop(geometry, (33, 24, 66, 60), size), 0, geometry.crop)
    np.testing.assert_allclose(found, expected, atol=0.51)


def test_a_letterbox_pads_with_what_is_nearly_zero_for_a_network() -> None:
    crop = np.array(Letterbox(64, 64).prepare(Image.new("RGB", (64, 32), "white")))
    assert (crop[16:48] == 255).all()
    padded = np.concatenate([crop[:16], crop[48:]]).reshape(-1, 3) / 255
    assert np.abs((padded - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)).max() < 0.02


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (333, 187), (224, 224), (1000, 301)])
@pytest.mark.parametrize(("resize", "crop"), [(256, 224), (75, 64), (73, 64)])
def test_the_pixels_are_torchvisions(size: tuple[int, int], resize: int, crop: int) -> None:
    """Its bilinear, antialiased resize on uint8 tensors may round differently: one level."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    image = coarse.resize(size, Image.Resampling.BICUBIC)
    tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    for geometry, to in ((Geometry(resize, crop), (resize, resize)), (ShortSide(resize, crop), (resize,))):
        theirs = v2.CenterCrop(crop)(v2.Resize(to, antialias=True)(tensor)).permute(1, 2, 0).numpy()
        ours = np.array(geometry.prepare(image))
        assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_the_digest_of_the_squash_is_what_it_was() -> None:
    assert plain(Geometry(72, 64), hashed_only=True) == {"class": "wsol.geometry.Geometry", "resize": 72, "crop": 64}


@pytest.mark.parametrize("kind", [Geometry, ShortSide, Letterbox])
@pytest.mark.parametrize(("resize", "crop"), [(224, 256), (10, 0)])
def test_impossible_geometries_are_refused(kind: type[Geometry], resize: int, crop: int) -> None:
    with pytest.raises(UserError, match="crop <= resize"):
        kind(resize, crop)
