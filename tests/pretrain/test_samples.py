"""Samples and their batches: from files or memory, in workers or not, the same bytes; validation's centre."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from core.data.imagenet import ImageNet
from core.data.images import read_rgb
from core.data.records import ImageRecord
from core.errors import UserError
from core.loader import ordered_batches, train_batches, train_stream
from pretrain.augmentation import PaddedCrop, RandomResizedCrop
from pretrain.samples import Batch, LowResolution, TrainSamples, ValSamples, collate
from tests.data import layouts


@pytest.fixture
def records(tmp_path: Path) -> tuple[ImageRecord, ...]:
    layouts.imagenet(tmp_path, {"train": {"n01": 3, "n02": 3}, "val": {"n01": 2, "n02": 2}})
    return ImageNet().records(tmp_path, "train")


def _equal(a: list[Batch], b: list[Batch]) -> bool:
    def colours(batch: Batch) -> torch.Tensor:
        return torch.zeros(()) if batch.colours is None else batch.colours

    same = (
        torch.equal(x.pixels, y.pixels) and torch.equal(x.labels, y.labels) and torch.equal(colours(x), colours(y))
        for x, y in zip(a, b, strict=True)
    )
    return len(a) == len(b) and all(same)


def _stream(samples: TrainSamples, workers: int = 0, first: int = 0, rank: int = 0, ranks: int = 1) -> list[Batch]:
    return list(
        train_stream(
            samples, collate, seed=1, batch_size=4, steps_per_epoch=2, first=first, last=8, workers=workers, rank=rank,
            ranks=ranks,
        )
    )  # fmt: skip


@pytest.mark.parametrize("augmentation", [RandomResizedCrop(jitter=0.4, lighting=0.1), RandomResizedCrop()])
def test_workers_resume_and_ranks_change_no_bit(
    records: tuple[ImageRecord, ...], augmentation: RandomResizedCrop
) -> None:
    samples = TrainSamples(records, augmentation, 24, low=LowResolution(8, 0.5), epochs=4)
    whole = _stream(samples)
    assert [batch.pixels.shape[-1] for batch in whole] == [8] * 4 + [24] * 4
    assert {len(batch.pixels) for batch in whole} == {4, 2}
    assert (whole[0].colours is None) == (augmentation.jitter == 0)
    for workers in (1, 3):
        assert _equal(_stream(samples, workers), whole)
    assert _equal(_stream(samples, workers=2, first=3), whole[3:])
    ranks = [_stream(samples, rank=rank, ranks=2) for rank in range(2)]
    for step, batch in enumerate(whole):
        for rank in range(2):
            assert torch.equal(ranks[rank][step].pixels, batch.pixels[rank::2])


def test_batches_are_bytes_in_channels_last_order(records: tuple[ImageRecord, ...]) -> None:
    for workers in (0, 1):
        batch = _stream(TrainSamples(records, RandomResizedCrop(jitter=0.1), 24), workers)[0]
        assert (batch.pixels.shape, batch.pixels.dtype) == ((4, 3, 24, 24), torch.uint8)
        assert batch.pixels.permute(0, 2, 3, 1).is_contiguous()
        assert batch.labels.dtype == torch.int64
        assert batch.colours is not None
        assert (batch.colours.shape, batch.colours.dtype) == ((4, 3, 4), torch.float32)
        batch.pixels.zero_()  # the step's own: it may be written to


def test_kept_images_give_the_same_samples(records: tuple[ImageRecord, ...]) -> None:
    kept, read = (TrainSamples(records, RandomResizedCrop(), 24, keep=keep) for keep in (True, False))
    assert _equal(_stream(kept), _stream(read))
    validated = [
        list(ordered_batches(ValSamples(records, 28, 24, keep=keep), collate, seed=0, batch_size=4, workers=workers))
        for keep, workers in ((False, 0), (True, 0), (False, 2))
    ]
    assert _equal(validated[0], validated[1])
    assert _equal(validated[0], validated[2])
    assert torch.cat([batch.labels for batch in validated[0]]).tolist() == [0, 0, 0, 1, 1, 1]


def test_torchs_generator_may_give_the_seed(records: tuple[ImageRecord, ...]) -> None:
    samples = TrainSamples(records, RandomResizedCrop(), 24)
    torch.manual_seed(3)
    first = samples.sample(0).pixels
    assert not np.array_equal(samples.sample(0).pixels, first)
    torch.manual_seed(3)
    assert np.array_equal(samples.sample(0).pixels, first)


def test_validation_takes_the_middle_of_the_shorter_side(tmp_path: Path) -> None:
    path = layouts.image(tmp_path / "image.png", size=(60, 30), kind="PNG")
    sample = ValSamples([ImageRecord("image", path, 4)], 30, 20).sample(0)
    assert sample.label == 4
    assert np.array_equal(sample.pixels, np.array(read_rgb(path))[5:25, 20:40])  # no resize at 30: the place alone


def test_real_photographs_as_torchvision_sees_them(real_data: Path) -> None:
    """Validation's pixels by the usual transforms on Pillow's decode; training's crops, of the part that is decoded."""
    paths = sorted((real_data / "VOCdevkit/VOC2007/JPEGImages").glob("*.jpg"))[:12]
    records = [ImageRecord(path.name, path, 0) for path in paths]
    usual = v2.Compose([v2.PILToTensor(), v2.Resize(256, antialias=True), v2.CenterCrop(224)])
    validated = ValSamples(records, 256, 224)
    read, kept = (TrainSamples(records, RandomResizedCrop(), 64, keep=keep) for keep in (False, True))
    for i, path in enumerate(paths):
        expected = usual(read_rgb(path)).permute(1, 2, 0).numpy()
        assert np.array_equal(validated.sample(i).pixels, expected)
        for seed in range(6):
            assert np.array_equal(read.seeded_sample(i, seed).pixels, kept.seeded_sample(i, seed).pixels)


def test_low_resolution_lasts_its_share_of_the_epochs_on_resume_too(records: tuple[ImageRecord, ...]) -> None:
    samples = TrainSamples(records, RandomResizedCrop(), 24, low=LowResolution(8, 0.5), epochs=5)
    sizes = []
    for epoch in (0, 1, 2, 4, 1):  # 1 again: a run that goes on from its checkpoint
        batch = next(train_batches(samples, collate, seed=0, epoch=epoch, batch_size=2, first=0, count=1))
        sizes.append(batch.pixels.shape[-1])
    assert sizes == [8, 8, 24, 24, 8]
    with pytest.raises(UserError, match="low_resolution"):
        LowResolution(share=2.0)


def test_cifar_sized_images_at_low_resolution(tmp_path: Path) -> None:
    path = layouts.image(tmp_path / "a.png", size=(32, 32), kind="PNG")
    samples = TrainSamples([ImageRecord("a", path, 0)], PaddedCrop(), 32, low=LowResolution(16, 0.5), epochs=2)
    sizes = [samples.seeded_sample(0, 0).pixels.shape for _ in map(samples.begin_epoch, (0, 1))]
    assert sizes == [(16, 16, 3), (32, 32, 3)]
