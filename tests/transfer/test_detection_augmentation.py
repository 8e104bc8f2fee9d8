"""SSD's augmentation: distributed as torchvision's v2 transforms, and pixels and boxes changed alike."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from core.data.images import open_picture
from core.data.pictures import Decoded
from core.resizing import resize
from tests.transfer.detection_cases import scenes
from transfer.tasks.detection.augmentation import SSDAugmentation
from transfer.tasks.detection.colours import Distortion
from transfer.tasks.detection.views import Drawn, Window, show

HEIGHT, WIDTH = 375, 500
BOXES = [(40.0, 50.0, 140.0, 300.0), (200.0, 100.0, 480.0, 360.0), (300.0, 20.0, 340.0, 60.0)]
FILL = (124, 116, 104)


def smooth(height: int = HEIGHT, width: int = WIDTH) -> Decoded:
    """An image whose red says where across, green where down: a pixel's colour gives its place."""
    y, x = np.mgrid[:height, :width]
    return Decoded(np.stack([40 + 150 * x / width, 40 + 150 * y / height, 0 * x + 90], 2).astype(np.uint8))


def statistics(left: float, top: float, width: float, height: float, kept: list[int]) -> list[float]:
    """Of a window in pixels of the image: place, sides, objects, largest IoU with one of them."""
    ious = []
    for i in kept:
        x0, y0, x1, y1 = BOXES[i]
        inside = (min(x1, left + width) - max(x0, left)) * (min(y1, top + height) - max(y0, top))
        ious.append(inside / ((x1 - x0) * (y1 - y0) + width * height - inside))
    return [left / WIDTH, top / HEIGHT, width / WIDTH, height / HEIGHT, len(kept), max(ious)]


def of_torchvision(count: int) -> np.ndarray:
    """What torchvision draws: its own parameters, its own order."""
    zoom, crop = (
        v2.RandomZoomOut(side_range=(1.0, 4.0)),
        v2.RandomIoUCrop(sampler_options=[0.1, 0.3, 0.7, 0.9, 0.0, 1.0]),
    )
    torch.manual_seed(0)
    rows = []
    for _ in range(count):
        left = top = right = bottom = 0
        if torch.rand(1) < 0.5:
            left, top, right, bottom = zoom.make_params([torch.empty(3, HEIGHT, WIDTH)])["padding"]
        size = (HEIGHT + top + bottom, WIDTH + left + right)
        shifted = torch.tensor(BOXES) + torch.tensor([left, top, left, top])
        boxes = tv_tensors.BoundingBoxes(shifted, format="XYXY", canvas_size=size)  # type: ignore[call-overload, unused-ignore]
        found = crop.make_params([torch.empty(3, *size), boxes])
        if found:
            kept = found["is_within_crop_area"].nonzero().flatten().tolist()
            row = statistics(found["left"] - left, found["top"] - top, found["width"], found["height"], kept)
        else:
            row = statistics(-left, -top, size[1], size[0], [0, 1, 2])
        rows.append(row)
    return np.array(rows)


def test_windows_are_distributed_as_torchvisions() -> None:
    theirs, augmentation = of_torchvision(600), SSDAugmentation()
    drawn = [augmentation.draw(HEIGHT, WIDTH, BOXES, random.Random(seed)) for seed in range(6000)]
    ours = np.array([statistics(*one.window, [0, 1, 2] if one.kept is None else list(one.kept)) for one in drawn])
    for column in range(ours.shape[1]):
        points = np.unique(np.concatenate([ours[:, column], theirs[:, column]]))
        one, two = (
            np.searchsorted(np.sort(rows[:, column]), points, side="right") / len(rows) for rows in (ours, theirs)
        )
        # Two samples of one distribution: a larger gap between their curves comes once in 5,000 times.
        assert np.abs(one - two).max() < 2.15 * np.sqrt(1 / len(ours) + 1 / len(theirs)), column
    uncropped = [np.mean((rows[:, 4] == 3) & (rows[:, 2] >= 1) & (rows[:, 3] >= 1)) for rows in (ours, theirs)]
    assert uncropped[0] == pytest.approx(uncropped[1], abs=0.05)
    assert np.mean([one.flipped for one in drawn]) == pytest.approx(0.5, abs=0.03)


def test_every_crop_has_the_overlap_that_was_drawn() -> None:
    for overlap in (0.1, 0.3, 0.7, 0.9):
        augmentation = SSDAugmentation(zoom=1.0, overlaps=(overlap,))
        cropped = 0
        for seed in range(40):
            drawn = augmentation.draw(HEIGHT, WIDTH, [(50.0, 40.0, 460.0, 340.0)], random.Random(seed))
            if drawn.kept is not None:
                x, y, w, h = drawn.window
                inside = (min(x + w, 460) - max(x, 50)) * (min(y + h, 340) - max(y, 40))
                assert inside / (410 * 300 + w * h - inside) >= overlap
                assert 0.5 <= w / h <= 2
                assert 0 <= x <= x + w <= WIDTH
                assert 0 <= y <= y + h <= HEIGHT
                cropped += 1
        assert cropped >= 38


def test_where_no_crop_can_be_had_there_is_none() -> None:
    for boxes in ([], [(10.0, 10.0, 12.0, 12.0)]):  # no window is so small that it overlaps this one by .9
        drawn = SSDAugmentation(zoom=1.0, overlaps=(0.9,)).draw(HEIGHT, WIDTH, boxes, random.Random(0))
        assert (drawn.window, drawn.kept) == (Window(0, 0, WIDTH, HEIGHT), None)
    assert SSDAugmentation(zoom=1.0, overlaps=()).draw(9, 8, BOXES, random.Random(0)).window == Window(0, 0, 8, 9)


def test_pixels_and_boxes_move_together() -> None:
    """Of any window, flipped or not: a white object on black lies where its box says, to half a pixel."""
    augmentation, zoomed, cropped = SSDAugmentation(colours=False), 0, 0
    for i, (x0, y0, x1, y1) in enumerate(BOXES):
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        image[int(y0) : int(y1), int(x0) : int(x1)] = 255
        for seed in range(60):
            drawn = augmentation.draw(HEIGHT, WIDTH, BOXES, random.Random(seed))
            pixels, placed, kept = show(Decoded(image), np.array(BOXES), drawn, (300, 300), (0, 0, 0))
            if i not in kept:
                continue
            left, top, right, bottom = placed[kept.tolist().index(i)]
            white = pixels[..., 0].astype(float) / 255
            across, down = white[int((top + bottom) / 2)], white[:, int((left + right) / 2)]
            for line, start, end in ((across, left, right), (down, top, bottom)):
                assert line.sum() == pytest.approx(end - start, abs=0.5)
                centre = (line * (np.arange(300) + 0.5)).sum() / line.sum()
                assert centre == pytest.approx((start + end) / 2, abs=0.5)
            zoomed += drawn.window.width > WIDTH
            cropped += drawn.kept is not None
    assert zoomed > 30
    assert cropped > 30


@pytest.mark.parametrize("flipped", [False, True])
def test_without_zoom_pixels_and_boxes_are_torchvisions(tmp_path: Path, flipped: bool) -> None:
    record = scenes(tmp_path)[0]
    picture, window = open_picture(record.path), Window(7, 5, 100, 70)
    pixels, placed, _ = show(picture, np.array(record.boxes), Drawn(window, flipped), (48, 64), FILL)
    image = tv_tensors.Image(torch.from_numpy(picture.whole().copy()).permute(2, 0, 1))
    boxes = tv_tensors.BoundingBoxes(torch.tensor(record.boxes), format="XYXY", canvas_size=(90, 120))  # type: ignore[call-overload, unused-ignore]
    image, boxes = (F.resized_crop(one, 5, 7, 70, 100, [48, 64], antialias=True) for one in (image, boxes))
    if flipped:
        image, boxes = F.horizontal_flip(image), F.horizontal_flip(boxes)
    assert np.array_equal(pixels, image.permute(1, 2, 0).numpy())
    np.testing.assert_allclose(placed, boxes.as_subclass(Tensor).numpy(), atol=1e-4)


def test_what_lies_beyond_the_image_is_the_fill() -> None:
    drawn = Drawn(Window(-500, -375, 1500, 1125), colours=Distortion(brightness=1.1))
    pixels, placed, _ = show(smooth(), np.array([(0.0, 0.0, 500.0, 375.0)]), drawn, (300, 300), FILL)
    assert placed.tolist() == [[100, 100, 200, 200]]
    inside = np.zeros((300, 300), bool)
    inside[100:200, 100:200] = True
    assert (pixels[~inside] == FILL).all(), "the colours of the image alone change"
    assert (pixels[inside][:, 2] == int(90 * 1.1)).all()


def test_a_box_is_cut_at_the_edges_of_a_view_that_is_no_square() -> None:
    drawn = Drawn(Window(100, 100, 200, 50))
    _, placed, _ = show(smooth(), np.array([(0.0, 0.0, 500.0, 375.0)]), drawn, (20, 60), FILL)
    assert placed.tolist() == [[0, 0, 60, 20]]


def test_windows_reach_an_aspect_ratio_of_two_and_no_more() -> None:
    for height, width in ((300, 900), (900, 300)):
        augmentation = SSDAugmentation(zoom=1.0, overlaps=(0.0,))
        box = (0.3 * width, 0.3 * height, 0.7 * width, 0.7 * height)
        drawn = [augmentation.draw(height, width, [box], random.Random(seed)).window for seed in range(150)]
        aspects = [max(window.width / window.height, window.height / window.width) for window in drawn]
        assert 1.9 < max(aspects) <= 2


def test_objects_that_shrink_to_less_than_a_pixel_are_dropped() -> None:
    drawn = Drawn(Window(0, 0, WIDTH, HEIGHT), smallest=1.0)
    boxes = np.array([(10.0, 10.0, 200.0, 200.0), (10.0, 10.0, 14.0, 200.0)])  # 4 of 500 pixels are .8 of 100
    _, placed, kept = show(smooth(), boxes, drawn, (100, 100), FILL)
    assert (len(placed), kept.tolist()) == (1, [0])


DISTORTIONS = [
    Distortion(brightness=1.12), Distortion(contrast=0.55), Distortion(saturation=1.45), Distortion(hue=0.05),
    Distortion(hue=-0.05), Distortion(channels=(1, 2, 0)),
    Distortion(0.9, 1.4, True, 0.6, -0.03, (2, 1, 0)), Distortion(1.1, 0.7, False, 1.4, 0.03, (0, 2, 1)),
]  # fmt: skip


@pytest.mark.parametrize("change", DISTORTIONS)
def test_colours_are_torchvisions(change: Distortion) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    pixels[:8] = pixels[:8, :, :1]  # grey ones, which have no hue
    pixels[8:12], pixels[12:16] = 0, 255
    x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    x = x if change.brightness is None else F.adjust_brightness(x, change.brightness)
    for late in (False, True):
        if late:
            x = x if change.saturation is None else F.adjust_saturation(x, change.saturation)
            x = x if change.hue is None else F.adjust_hue(x, change.hue)
        if change.contrast is not None and change.contrast_first != late:
            x = F.adjust_contrast(x, change.contrast)
    x = x if change.channels is None else F.permute_channels(x, list(change.channels))
    change(pixels)
    differ = np.abs(pixels.astype(int) - x.permute(1, 2, 0).numpy())
    assert differ.max() <= 2  # a bit of the last place, doubled by what follows
    assert (differ > 0).mean() < 0.03


def test_distortions_are_drawn_as_torchvisions() -> None:
    torch.manual_seed(0)
    photometric = v2.RandomPhotometricDistort()
    theirs = [photometric.make_params([torch.empty(3, 2, 2)]) for _ in range(2000)]
    ours = [Distortion.drawn(random.Random(seed)) for seed in range(4000)]
    for name, key in (("brightness", "brightness_factor"), ("contrast", "contrast_factor"), ("hue", "hue_factor")):
        one = [float(p[key]) for p in theirs if p[key] is not None]
        two = [getattr(d, name) for d in ours if getattr(d, name) is not None]
        assert len(two) / len(ours) == pytest.approx(len(one) / len(theirs), abs=0.04)
        spread = max(one) - min(one)
        for quantile in (0.0, 0.25, 0.5, 0.75, 1.0):
            assert np.quantile(two, quantile) == pytest.approx(np.quantile(one, quantile), abs=0.05 * spread)
    assert np.mean([d.contrast_first for d in ours]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([d.channels is not None for d in ours]) == pytest.approx(0.5, abs=0.03)
    assert len({d.channels for d in ours}) == 7


@pytest.mark.parametrize("wrong", [{"zoom": 0.5}, {"overlaps": (0.5, 1.5)}])
def test_fields_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SSDAugmentation(**wrong)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("error")
def test_pixels_that_may_not_be_written_to_are_copied() -> None:
    picture = smooth()
    picture.pixels.setflags(write=False)
    for colours in (None, Distortion(brightness=1.1)):
        drawn = Drawn(Window(0, 0, WIDTH, HEIGHT), colours=colours)
        pixels, _, _ = show(picture, np.array(BOXES), drawn, (HEIGHT, WIDTH), FILL)
        assert torch.from_numpy(pixels).shape == (HEIGHT, WIDTH, 3)
        assert np.array_equal(pixels, picture.pixels) == (colours is None)


@pytest.mark.filterwarnings("error")
def test_pixels_that_may_not_be_written_to_are_resized_without_a_warning() -> None:
    picture = smooth()
    writable = resize(picture.pixels, 30, 40)
    picture.pixels.setflags(write=False)
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)  # else torch warns once in a process
    try:
        assert np.array_equal(resize(picture.pixels, 30, 40), writable)
    finally:
        torch.set_warn_always(always)
