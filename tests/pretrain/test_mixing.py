"""Each method against its paper's formula written plainly in NumPy, and the distributions of what is drawn."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from core.targets import Targets, soft_cross_entropy
from pretrain.mixing.base import centred_box, draw_beta
from pretrain.mixing.cutmix import CutMix
from pretrain.mixing.cutout import Cutout
from pretrain.mixing.mixup import Mixup


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_cutmix_equals_the_mask_formula() -> None:
    """Formula (1) of the paper: x~ = M * x_A + (1 - M) * x_B; lam is M's share of ones."""
    x = torch.randn(6, 3, 13, 17)
    for seed in range(200):
        draw = CutMix().draw(x.shape, _generator(seed))
        assert draw.partner is not None
        ((y0, x0, y1, x1),) = draw.boxes
        mask = np.ones((13, 17))
        mask[y0:y1, x0:x1] = 0
        expected = mask * x.numpy() + (1 - mask) * x.numpy()[draw.partner.numpy()]
        np.testing.assert_allclose(CutMix().apply(x, draw).numpy(), expected, rtol=1e-6)
        assert draw.lam == pytest.approx(mask.mean(), abs=1e-12)


def test_cutmix_lambda_is_the_share_of_pixels_that_stayed() -> None:
    rows = torch.arange(5.0)[:, None, None, None].expand(5, 1, 20, 14)  # every pixel says which image it came from
    for seed in range(100):
        draw = CutMix(alpha=0.5).draw(rows.shape, _generator(seed))
        assert draw.partner is not None
        mixed = CutMix().apply(rows, draw)
        for i in range(5):
            if draw.partner[i] != i:
                assert (mixed[i] == i).float().mean().item() == pytest.approx(draw.lam, abs=1e-6)


def test_cutmix_box_follows_the_published_algorithm() -> None:
    """Algorithm A1 and the authors' rand_bbox, replayed from the drawn lambda and centre."""
    height, width = 31, 224
    for seed in range(300):
        replay = _generator(seed)
        torch.rand((), generator=replay)  # is it applied?
        lam = draw_beta(1.0, replay)
        torch.randperm(4, generator=replay)
        cy = int(torch.randint(height, (1,), generator=replay))
        cx = int(torch.randint(width, (1,), generator=replay))
        ratio = np.sqrt(1.0 - lam)
        cut_h, cut_w = int(height * ratio), int(width * ratio)
        y0, y1 = np.clip([cy - cut_h // 2, cy + cut_h // 2], 0, height)
        x0, x1 = np.clip([cx - cut_w // 2, cx + cut_w // 2], 0, width)
        draw = CutMix().draw((4, 3, height, width), _generator(seed))
        assert draw.boxes == ((y0, x0, y1, x1),)
        assert draw.lam == pytest.approx(1 - (y1 - y0) * (x1 - x0) / (height * width), abs=1e-12)


def test_cutmix_mean_lambda_is_the_measured_one() -> None:
    """facts: at 224 pixels and alpha 1, mean lambda after clipping is .682 (200,000 draws)."""
    generator = _generator(0)
    lams = [CutMix().draw((2, 3, 224, 224), generator).lam for _ in range(4000)]
    assert np.mean(lams) == pytest.approx(0.682, abs=4 * float(np.std(lams)) / math.sqrt(4000))


def test_mixup_equals_the_formula() -> None:
    x = torch.randn(6, 3, 5, 8)
    for seed in range(20):
        draw = Mixup().draw(x.shape, _generator(seed))
        assert draw.partner is not None
        expected = draw.lam * x.numpy() + (1 - draw.lam) * x.numpy()[draw.partner.numpy()]
        np.testing.assert_allclose(Mixup().apply(x, draw).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_cutout_zeroes_one_clipped_square_per_image() -> None:
    x = torch.ones(64, 3, 32, 30)
    draw = Cutout(share=16 / 30).draw(x.shape, _generator(0))
    cut = Cutout(share=16 / 30).apply(x, draw)
    assert len(set(draw.boxes)) > 32, "the images share their squares"
    for image, (y0, x0, y1, x1) in zip(cut, draw.boxes, strict=True):
        assert 8 <= y1 - y0 <= 16
        assert 8 <= x1 - x0 <= 16
        assert image.sum() == 3 * (32 * 30 - (y1 - y0) * (x1 - x0))
        assert (image[:, y0:y1, x0:x1] == 0).all()


def test_box_centres_are_uniform_over_the_pixels() -> None:
    generator = _generator(0)
    boxes = np.array([centred_box((4, 6), 2, 2, generator) for _ in range(6000)])
    centres = boxes[:, 2:] - 1  # y1 = y + 1 and x1 = x + 1 at half size 1: never clipped by more than the edge itself
    counts = np.zeros((4, 6))
    np.add.at(counts, (centres[:, 0], centres[:, 1]), 1)
    assert (abs(counts - 250) < 5 * math.sqrt(250)).all()


@pytest.mark.parametrize("alpha", [0.05, 0.5, 1.0, 4.0])
def test_beta_has_its_mean_and_variance(alpha: float) -> None:
    generator = _generator(1)
    values = np.array([draw_beta(alpha, generator) for _ in range(8000)])
    variance = 1 / (4 * (2 * alpha + 1))
    assert values.mean() == pytest.approx(0.5, abs=4 * math.sqrt(variance / 8000))
    assert values.var() == pytest.approx(variance, rel=0.06)
    assert ((values >= 0) & (values <= 1)).all()


def test_soft_cross_entropy_equals_the_one_hot_form() -> None:
    logits = torch.randn(7, 10, dtype=torch.float64, requires_grad=True)
    a, b = torch.randint(10, (7,)), torch.randint(10, (7,))
    for lam in (0.0, 0.3, 1.0):
        loss = soft_cross_entropy(logits, Targets(a, b, lam))
        dense = lam * functional.one_hot(a, 10) + (1 - lam) * functional.one_hot(b, 10)
        assert torch.allclose(loss, functional.cross_entropy(logits, dense.double()))


@pytest.mark.parametrize(
    "bad", [lambda: Mixup(alpha=0.0), lambda: CutMix(alpha=float("nan")), lambda: Cutout(share=0.0)]
)
def test_impossible_parameters_are_refused(bad: "object") -> None:
    assert callable(bad)
    with pytest.raises(ValueError, match="mixing"):
        bad()
