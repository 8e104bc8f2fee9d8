"""The authors' colour changes against their formulas, the crop's distribution, and the samples made of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from core.data.imagenet import ImageNet
from core.data.records import ImageRecord
from core.errors import UserError
from core.loader import train_batches
from pretrain.augmentation import RandomResizedCrop
from pretrain.samples import LowResolution, TrainSamples, ValSamples, collate
from tests.data import layouts


@pytest.fixture
def records(tmp_path: Path) -> tuple[ImageRecord, ...]:
    layouts.imagenet(tmp_path, {"train": {"n01": 3, "n02": 3}, "val": {"n01": 2, "n02": 2}})
    return ImageNet().records(tmp_path, "train")


def _image(height: int = 40, width: int = 60) -> Tensor:
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(7))


def _seeded(augmentation: RandomResizedCrop, seed: int, image: Tensor, size: int = 24) -> Tensor:
    torch.manual_seed(seed)
    return augmentation(image, size)


def test_the_global_seed_decides_and_the_image_stays() -> None:
    augmentation, image = RandomResizedCrop(jitter=0.4, lighting=0.1), _image()
    before = image.clone()
    assert torch.equal(_seeded(augmentation, 3, image), _seeded(augmentation, 3, image))
    assert not torch.equal(_seeded(augmentation, 3, image), _seeded(augmentation, 4, image))
    assert torch.equal(image, before)


def test_without_colour_changes_pixels_stay_uint8() -> None:
    assert _seeded(RandomResizedCrop(), 0, _image()).dtype == torch.uint8
    assert _seeded(RandomResizedCrop(jitter=0.1), 0, _image()).dtype == torch.float32


def test_crops_cover_what_they_may() -> None:
    """A ramp from 0 to 255 over the width shows how much of it a crop spans; its mean shows where."""
    ramp = torch.linspace(0, 255, 256).round().to(torch.uint8).expand(3, 256, 256)
    augmentation = RandomResizedCrop(min_area=0.25, flip=0.0)
    spans = []
    for seed in range(300):
        view = _seeded(augmentation, seed, ramp, 64).float()
        spans.append(float(view[0, :, -1].mean() - view[0, :, 0].mean()) / 255)
    # Width is sqrt(area * aspect): from sqrt(.25 * 3/4) = .43 to 1; both ends are reached in 300 draws.
    assert 0.38 < min(spans) < 0.55
    assert 0.93 < max(spans) <= 1.0


def test_half_of_the_views_are_flipped() -> None:
    ramp = torch.arange(0, 256, dtype=torch.uint8).expand(3, 256, 256)
    flipped = sum(
        int(view[0, 0, 0] > view[0, 0, -1]) for view in (_seeded(RandomResizedCrop(), s, ramp) for s in range(200))
    )
    assert 72 <= flipped <= 128  # 4 standard deviations
    assert all(_seeded(RandomResizedCrop(flip=0.0), s, ramp)[0, 0, 0] < 128 for s in range(20))


def test_lighting_adds_one_colour_of_the_principal_axes() -> None:
    image = _image(24, 24)
    plain, lit = (
        RandomResizedCrop(min_area=1.0, flip=0.0, max_aspect=1.0),
        RandomResizedCrop(1.0, 1.0, 0.0, lighting=0.1),
    )
    shifts = []
    for seed in range(400):
        difference = _seeded(lit, seed, image) - _seeded(plain, seed, image).float()
        assert (difference.std(dim=(1, 2)) < 1e-3).all()
        shifts.append(difference.mean(dim=(1, 2)).double().numpy() / 255)
    eigenvalues = np.array([0.2175, 0.0188, 0.0045])
    vectors = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    expected = vectors @ np.diag((0.1 * eigenvalues) ** 2) @ vectors.T  # covariance of sum_i alpha_i lambda_i p_i
    np.testing.assert_allclose(np.cov(np.array(shifts).T), expected, rtol=0.3)


def test_jitter_is_some_order_of_the_three_blends() -> None:
    """Whatever the order, the result is one of the six compositions with amounts within the strength."""
    image = _image(16, 16)
    jittered = RandomResizedCrop(1.0, 1.0, 0.0, jitter=0.4)
    grey_image = torch.full((3, 16, 16), 100, dtype=torch.uint8)
    ratios = [float(_seeded(jittered, seed, grey_image, 16)[0, 0, 0]) / 100 for seed in range(300)]
    # On a grey image contrast and saturation change nothing; brightness scales by 1 - U(-.4, .4).
    assert 0.6 <= min(ratios) < 0.65
    assert 1.35 < max(ratios) <= 1.4001
    assert np.mean(ratios) == pytest.approx(1.0, abs=4 * 0.8 / np.sqrt(12 * 300))
    views = torch.stack([_seeded(jittered, seed, image, 16) for seed in range(50)])
    assert views.std(dim=0).min() > 1.0, "colours do not vary"


@pytest.mark.parametrize("bad", [{"min_area": 0.0}, {"flip": 1.5}, {"jitter": -1.0}, {"max_aspect": 0.5}])
def test_impossible_augmentations_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(UserError, match="augmentation"):
        RandomResizedCrop(**bad)


def test_kept_images_give_the_same_samples(records: tuple[ImageRecord, ...]) -> None:
    for kind in ("train", "val"):
        made = []
        for keep in (False, True):
            samples = (
                TrainSamples(records, RandomResizedCrop(), 24, keep=keep)
                if kind == "train"
                else ValSamples(records, 28, 24, keep=keep)
            )
            torch.manual_seed(5)
            made.append(collate([samples.sample(i) for i in range(len(samples))]))
        assert torch.equal(made[0][0], made[1][0])
        assert made[0][1].tolist() == [0, 0, 0, 1, 1, 1]


def test_validation_takes_the_middle_of_the_shorter_side(tmp_path: Path) -> None:
    path = layouts.image(tmp_path / "image.png", size=(60, 30), kind="PNG")
    pixels, label = ValSamples([ImageRecord("image", path, 4)], 30, 20).sample(0)
    from PIL import Image

    expected = np.array(Image.open(path))[5:25, 20:40]  # no resize at 30: the crop's place alone
    assert label == 4
    assert np.array_equal(pixels.permute(1, 2, 0).numpy(), expected)


def test_low_resolution_lasts_its_share_of_the_epochs_on_resume_too(records: tuple[ImageRecord, ...]) -> None:
    samples = TrainSamples(records, RandomResizedCrop(), 24, low=LowResolution(8, 0.5), epochs=5)
    sizes = []
    for epoch in (0, 1, 2, 4, 1):  # 1 again: a run that goes on from its checkpoint
        pixels, _ = next(train_batches(samples, collate, seed=0, epoch=epoch, batch_size=2, first=0, count=1))
        sizes.append(pixels.shape[-1])
    assert sizes == [8, 8, 24, 24, 8]
    with pytest.raises(UserError, match="low_resolution"):
        LowResolution(share=2.0)
