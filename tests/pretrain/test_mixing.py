"""Each method against its paper's formula written plainly in NumPy, and the distributions of what is drawn."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from core.mixing import mixed_targets
from core.targets import Targets
from pretrain.mixing.base import centred_box, centred_boxes, draw_beta
from pretrain.mixing.chain import Chain
from pretrain.mixing.cutmix import CutMix
from pretrain.mixing.cutmix_complete import CompleteLabelCutMix
from pretrain.mixing.cutmix_fixed import FixedSizeCutMix
from pretrain.mixing.cutmix_gaussian import CenterGaussianCutMix
from pretrain.mixing.cutmix_onehot import OneHotCutMix
from pretrain.mixing.cutmix_scheduled import ScheduledCutMix
from pretrain.mixing.cutout import Cutout, _inside
from pretrain.mixing.mixup import Mixup


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_cutmix_equals_the_mask_formula() -> None:
    """Formula (1) of the paper: x~ = M * x_A + (1 - M) * x_B; lam is M's share of ones."""
    x = torch.randn(6, 3, 13, 17)
    for seed in range(200):
        draw = CutMix().draw(x.shape, _generator(seed))
        assert draw.partner is not None
        assert draw.box is not None
        y0, x0, y1, x1 = draw.box
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
        assert draw.box == (y0, x0, y1, x1)
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


@pytest.mark.parametrize(("height", "width"), [(32, 32), (224, 224), (1, 1), (7, 12)])
def test_boxes_of_a_batch_are_those_drawn_one_by_one(height: int, width: int) -> None:
    together, single = _generator(5), _generator(5)
    boxes = centred_boxes((40, 3, height, width), 4, 6, together)
    assert boxes == tuple(centred_box((height, width), 4, 6, single) for _ in range(40))
    assert torch.equal(together.get_state(), single.get_state())


@pytest.mark.parametrize("alpha", [0.05, 0.5, 1.0, 4.0])
def test_beta_has_its_mean_and_variance(alpha: float) -> None:
    generator = _generator(1)
    values = np.array([draw_beta(alpha, generator) for _ in range(8000)])
    variance = 1 / (4 * (2 * alpha + 1))
    assert values.mean() == pytest.approx(0.5, abs=4 * math.sqrt(variance / 8000))
    assert values.var() == pytest.approx(variance, rel=0.06)
    assert ((values >= 0) & (values <= 1)).all()


def test_cutouts_squares_on_a_device_are_those_of_the_cpu() -> None:
    x = torch.rand(16, 3, 12, 17) + 1
    draw = Cutout().draw(x.shape, _generator(0))
    assert torch.equal(x.masked_fill(_inside(draw.boxes, x), 0.0), Cutout().apply(x, draw))


def test_the_fixed_box_is_of_one_size_until_it_is_clipped() -> None:
    """Table 8: 16 x 16 of 32 pixels, a quarter of the image."""
    draws = [FixedSizeCutMix(share=0.5).draw((4, 3, 32, 32), _generator(seed)) for seed in range(300)]
    lams = np.array([draw.lam for draw in draws])
    assert lams.min() == 0.75
    inside = [d.box for d in draws if d.box is not None and min(d.box[:2]) > 0 and max(d.box[2:]) < 32]
    assert inside
    assert all((y1 - y0, x1 - x0) == (16, 16) for y0, x0, y1, x1 in inside)
    assert len(set(inside)) > 20
    # A centre c is uniform over 0..31, and of its 16 pixels those within the image stay: the mean side is 12.
    mean_side = np.mean([min(c + 8, 32) - max(c - 8, 0) for c in range(32)])
    assert 1 - lams.mean() == pytest.approx(float(mean_side / 32) ** 2, abs=4 * lams.std() / math.sqrt(300))


def test_gaussian_centres_have_their_mean_and_spread() -> None:
    method = CenterGaussianCutMix(spread=0.1)
    generator = _generator(0)
    boxes = np.array([method.box_around((1, 3, 100, 200), 2, 2, generator) for _ in range(4000)])
    centres = boxes[:, :2] + 1
    assert centres.mean(0) == pytest.approx([49.5, 99.5], abs=4 * 20 / math.sqrt(4000))  # pixels count from 0
    assert centres.std(0) == pytest.approx([10, 20], rel=0.05)
    far = [CenterGaussianCutMix(spread=50.0).box_around((1, 3, 9, 9), 4, 4, generator) for _ in range(200)]
    assert all(0 <= y0 < y1 <= 9 and 0 <= x0 < x1 <= 9 for y0, x0, y1, x1 in far), "a centre outside leaves no box"


def test_one_hot_takes_the_larger_part_and_complete_takes_half() -> None:
    labels = torch.tensor([0, 1, 2, 3])
    seen = set()
    for seed in range(60):
        draw = OneHotCutMix().draw((4, 3, 8, 8), _generator(seed))
        assert draw.partner is not None
        ((kept, weight),) = OneHotCutMix().targets(Targets.of(labels), draw).parts
        assert weight == 1.0
        assert torch.equal(kept, labels if draw.lam >= 0.5 else labels[draw.partner])
        seen.add(draw.lam >= 0.5)
        halves = CompleteLabelCutMix().targets(Targets.of(labels), draw).parts
        assert [weight for _, weight in halves] == [0.5, 0.5]
    assert seen == {True, False}


def test_ablations_of_cutmix_move_the_pixels_that_cutmix_moves() -> None:
    x = torch.randn(4, 3, 10, 10)
    for method in (OneHotCutMix(), CompleteLabelCutMix()):
        for seed in range(10):
            draw = method.draw(x.shape, _generator(seed))
            assert torch.equal(method.apply(x, draw), CutMix().apply(x, CutMix().draw(x.shape, _generator(seed))))
    assert CompleteLabelCutMix().label_weight(CompleteLabelCutMix(probability=0.0).draw(x.shape, _generator(0))) == 1.0


def test_scheduled_cutmix_grows_from_never_to_its_probability() -> None:
    generator = _generator(0)
    for progress, probability, expected in ((0.0, 1.0, 0.0), (0.25, 1.0, 0.25), (0.999, 1.0, 0.999), (0.5, 0.5, 0.25)):
        method = ScheduledCutMix(probability=probability)
        mixed = [not method.draw((2, 3, 8, 8), generator, progress).changes_nothing for _ in range(2000)]
        assert np.mean(mixed) == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / 2000) + 1e-9)


def test_a_chain_applies_its_mixings_in_turn() -> None:
    x = torch.randn(5, 3, 9, 9)
    chain = Chain((CutMix(), Mixup()))
    generator, replay = _generator(3), _generator(3)
    draw = chain.draw(x.shape, generator)
    first, second = CutMix().draw(x.shape, replay), Mixup().draw(x.shape, replay)
    expected = Mixup().apply(CutMix().apply(x, first), second)
    assert torch.equal(chain.apply(x, draw), expected)
    assert not chain.takes_uint8
    assert Chain((CutMix(), CutMix())).takes_uint8
    placed = chain.place(lambda _: x.shape, _generator(3))
    assert [type(one.mixing) for one in placed] == [CutMix, Mixup]
    assert torch.equal(Mixup().apply(CutMix().apply(x, placed[0].draw), placed[1].draw), expected)


def test_a_chains_labels_are_the_shares_of_its_images() -> None:
    """Each image is of its own class: what part of the pixels is of a class is what the class should weigh."""
    x = torch.eye(5)[:, :, None, None].expand(5, 5, 8, 12).contiguous()
    for chain in (Chain((CutMix(), Mixup())), Chain((Mixup(), CutMix())), Chain((Mixup(), Mixup(), Mixup()))):
        for seed in range(20):
            draw = chain.draw(x.shape, _generator(seed))
            targets = chain.targets(Targets.of(torch.arange(5)), draw)
            weights = sum(weight * functional.one_hot(labels, 5) for labels, weight in targets.parts)
            torch.testing.assert_close(chain.apply(x, draw).mean((2, 3)), weights, rtol=0, atol=1e-6)
            parts = [one.draw for one in chain.place(lambda _: x.shape, _generator(seed))]
            assert len(parts) == len(chain.mixings)
            alone = mixed_targets(torch.arange(5), chain.place(lambda _: x.shape, _generator(seed)))
            assert [w for _, w in alone.parts] == [w for _, w in targets.parts]


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Mixup(alpha=0.0),
        lambda: CutMix(alpha=float("nan")),
        lambda: Cutout(share=0.0),
        lambda: FixedSizeCutMix(share=1.1),
        lambda: CenterGaussianCutMix(spread=-1.0),
        lambda: CenterGaussianCutMix(alpha=0.0),
        lambda: Chain(()),
    ],
)
def test_impossible_parameters_are_refused(bad: "object") -> None:
    assert callable(bad)
    with pytest.raises(ValueError, match="mixing"):
        bad()
