"""Crops against torchvision's distribution and pixels, colours against the authors' formulas, CIFAR's windows."""

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms import RandomResizedCrop as TorchCrop
from torchvision.transforms.v2 import functional

from core.data.pictures import Decoded, Pixels
from core.errors import UserError
from core.resizing import resize
from pretrain import colour
from pretrain.augmentation import PaddedCrop, RandomResizedCrop, View, shifted


def _image(height: int = 40, width: int = 60) -> Decoded:
    return Decoded(np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8))


def _ramp(side: int = 256) -> Decoded:
    """0 to 255 from left to right."""
    row = np.linspace(0, 255, side).round().astype(np.uint8)
    return Decoded(np.broadcast_to(row[None, :, None], (side, side, 3)).copy())


def _same(a: View, b: View) -> bool:
    return np.array_equal(a.pixels, b.pixels) and (
        (a.colour is None and b.colour is None) or np.array_equal(np.array(a.colour), np.array(b.colour))
    )


@pytest.mark.parametrize("augmentation", [RandomResizedCrop(jitter=0.4, lighting=0.1), PaddedCrop()])
def test_the_seed_alone_decides_and_the_image_stays(augmentation: Any) -> None:
    image = _image(40, 40)
    before = image.pixels.copy()
    state, global_state = random.getstate(), torch.get_rng_state()
    views = [augmentation(image, 24, seed) for seed in (3, 3, 4)]
    assert _same(views[0], views[1])
    assert not _same(views[0], views[2])
    assert all(view.pixels.shape == (24, 24, 3) and view.pixels.dtype == np.uint8 for view in views)
    assert np.array_equal(image.pixels, before)
    assert random.getstate() == state
    assert torch.equal(torch.get_rng_state(), global_state)


def test_a_view_is_the_crop_that_torchvision_resizes() -> None:
    """The same pixels as cutting the box that was drawn out of the whole image, torchvision's resize, and a flip."""
    augmentation, image, flips = RandomResizedCrop(), _image(90, 120), 0
    whole = torch.from_numpy(image.pixels).permute(2, 0, 1)
    for seed in range(40):
        rng = random.Random(seed)
        top, left, height, width = augmentation.box(90, 120, rng)
        flipped = rng.random() < 0.5
        flips += flipped
        crop = whole[:, top : top + height, left : left + width]
        expected = functional.resize(crop, [32, 32], antialias=True)
        expected = expected.flip(-1) if flipped else expected
        assert np.array_equal(augmentation(image, 32, seed).pixels, expected.permute(1, 2, 0).numpy())
    assert 8 < flips < 32


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(24, 24), (60, 18)])
@pytest.mark.parametrize("shape", [(50, 70), (7, 5), (24, 24), (1, 1), (24, 90)])
def test_resize_gives_torchvisions_pixels(interpolation: str, shape: tuple[int, int], size: tuple[int, int]) -> None:
    pixels = _image(*shape).pixels
    mode = functional.InterpolationMode(interpolation)
    expected = functional.resize(torch.from_numpy(pixels).permute(2, 0, 1), list(size), mode, antialias=True)
    resized = resize(pixels, *size, interpolation)
    assert resized.flags.c_contiguous
    assert np.array_equal(resized, expected.permute(1, 2, 0).numpy())


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 100), (20, 300), (1, 1)])
def test_boxes_are_distributed_as_torchvisions(height: int, width: int) -> None:
    """Means of place, area and log aspect over 4000 draws; long images take the central box after ten attempts."""
    rng, image = random.Random(0), torch.empty(1, height, width)
    torch.manual_seed(0)
    ours = [RandomResizedCrop().box(height, width, rng) for _ in range(4000)]
    theirs = [TorchCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)]

    def described(boxes: Sequence[Sequence[int]]) -> Any:
        t, left, h, w = (np.array(column, float) for column in zip(*boxes, strict=True))
        return np.stack([t / height, left / width, h * w / (height * width), np.log(w / h), (h == height) + 0.0])

    a, b = described(ours), described(theirs)
    tolerance = 5 * np.sqrt(a.var(1) / 4000 + b.var(1) / 4000) + 1e-9  # 5 standard errors
    assert (np.abs(a.mean(1) - b.mean(1)) <= tolerance).all()
    assert all(min(t, x) >= 0 and t + h <= height and x + w <= width for t, x, h, w in ours)


def test_crops_cover_what_they_may() -> None:
    augmentation = RandomResizedCrop(min_area=0.25, flip=0.0)
    views = [augmentation(_ramp(), 64, seed).pixels.astype(float) for seed in range(300)]
    spans = [float(view[:, -1].mean() - view[:, 0].mean()) / 255 for view in views]
    # Width is sqrt(area * aspect): from sqrt(.25 * 3/4) = .43 to 1; both ends are reached in 300 draws.
    assert 0.38 < min(spans) < 0.55
    assert 0.93 < max(spans) <= 1.0


def test_half_of_the_views_are_flipped() -> None:
    for augmentation in (RandomResizedCrop(), PaddedCrop(padding=0)):
        flipped = sum(int(p[0, 0, 0] > p[0, -1, 0]) for p in (augmentation(_ramp(), 64, s).pixels for s in range(200)))
        assert 72 <= flipped <= 128  # 4 standard deviations
    views = [RandomResizedCrop(flip=0.0)(_ramp(), 64, seed).pixels for seed in range(20)]
    assert all(view[0, 0, 0] < view[0, -1, 0] for view in views)


class _Chosen(random.Random):
    """Draws what it is told."""

    def __init__(self, amounts: Sequence[float], order: Sequence[int], noise: Sequence[float]) -> None:
        super().__init__(0)
        self.amounts, self.order, self.noise = iter(amounts), list(order), iter(noise)

    def uniform(self, a: float, b: float) -> float:
        return next(self.amounts)

    def sample(self, population: Any, k: int, *, counts: Any = None) -> Any:
        return self.order

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        return next(self.noise)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
def test_colour_changes_are_the_authors(order: tuple[int, int, int]) -> None:
    """utils.py of CutMix-PyTorch: image.lerp(target, alpha) one after the other, then lighting, on floats in 0..1."""
    amounts, noise = (0.3, -0.2, 0.37), (0.1, -0.05, 0.2)
    pixels = _image(16, 12).pixels
    image = pixels.astype(float) / 255
    for kind in order:
        grey = (image * [0.299, 0.587, 0.114]).sum(2, keepdims=True)
        target = (np.zeros_like(image), np.full_like(image, grey.mean()), np.broadcast_to(grey, image.shape))[kind]
        image = image + amounts[kind] * (target - image)
    vectors = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    image = image + (vectors * np.array(noise) * [0.2175, 0.0188, 0.0045]).sum(1)
    change = colour.draw(_Chosen(amounts, order, noise), pixels, 0.4, 0.1)
    changed = pixels.astype(float) @ change[:, :3].T + change[:, 3]
    assert change.dtype == np.float32
    np.testing.assert_allclose(changed, 255 * image, atol=2e-4)


def test_colour_changes_are_drawn_as_widely_as_said() -> None:
    grey = np.full(
        (4, 4, 3), 100, np.uint8
    )  # contrast and saturation change nothing: brightness scales by 1 - U(-s, s)
    changes = [colour.draw(random.Random(seed), grey, 0.4, 0.0) for seed in range(300)]
    ratios = [float((change @ [100, 100, 100, 1])[0]) / 100 for change in changes]
    assert 0.6 <= min(ratios) < 0.62
    assert 1.38 < max(ratios) <= 1.4001
    assert np.mean(ratios) == pytest.approx(1.0, abs=4 * 0.8 / np.sqrt(12 * 300))
    lit = np.array([colour.draw(random.Random(seed), grey, 0.0, 0.1)[:, 3] for seed in range(400)]) / 255
    vectors = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    expected = vectors @ np.diag((0.1 * np.array([0.2175, 0.0188, 0.0045])) ** 2) @ vectors.T
    np.testing.assert_allclose(np.cov(lit.T), expected, rtol=0.3)


def test_without_colour_changes_a_view_has_none() -> None:
    assert RandomResizedCrop()(_image(), 16, 0).colour is None
    for augmentation in (RandomResizedCrop(jitter=0.1), RandomResizedCrop(lighting=0.1)):
        change = augmentation(_image(), 16, 0).colour
        assert change is not None
        assert change.shape == (3, 4)


def _padded(pixels: Pixels, padding: int) -> Pixels:
    return np.pad(pixels, ((padding, padding), (padding, padding), (0, 0)))


def test_padded_crops_are_all_windows_of_the_padded_image() -> None:
    """Each of the 9 x 9 windows of the image padded by 4, as often as the others; CIFAR's 32 pixels."""
    image = _image(32, 32)
    windows = {_padded(image.pixels, 4)[y : y + 32, x : x + 32].tobytes(): (y, x) for y in range(9) for x in range(9)}
    seen = [windows[PaddedCrop(flip=0.0)(image, 32, seed).pixels.tobytes()] for seed in range(1000)]
    assert len(set(seen)) == 81
    for column in zip(*seen, strict=True):
        assert np.mean(column) == pytest.approx(4.0, abs=4 * math.sqrt(80 / 12 / 1000))


def test_a_window_off_the_image_is_black() -> None:
    image = _image(3, 3)
    assert not shifted(image, 4, 0).any()
    assert np.array_equal(shifted(image, 1, -1)[:2, 1:], image.pixels[1:, :2])


def test_a_padded_crop_takes_squares_and_may_be_made_smaller() -> None:
    assert PaddedCrop()(_image(32, 32), 16, 0).pixels.shape == (16, 16, 3)
    with pytest.raises(UserError, match="60 x 40 pixels"):
        PaddedCrop()(_image(), 32, 0)


@pytest.mark.parametrize("bad", [{"min_area": 0.0}, {"flip": 1.5}, {"jitter": -1.0}, {"max_aspect": 0.5}])
def test_impossible_augmentations_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="augmentation"):
        RandomResizedCrop(**bad)
    with pytest.raises(UserError, match="augmentation"):
        PaddedCrop(padding=-1)
