"""Stochastic depth, ShakeDrop and DropBlock against their papers' formulas."""

import pytest
import torch
from torch import Tensor

from core.networks.drop_block import DropBlock
from core.networks.shakedrop import ShakeDrop
from core.networks.stochastic_depth import StochasticDepth, linear_decay


def _draws(module: torch.nn.Module, x: Tensor, count: int) -> Tensor:
    torch.manual_seed(0)
    return torch.stack([module(x) for _ in range(count)])


def test_linear_decay_starts_above_zero_and_ends_at_the_rate() -> None:
    assert [linear_decay(0.25, block, 4) for block in (1, 2, 3, 4)] == [0.0625, 0.125, 0.1875, 0.25]


def test_stochastic_depth_throws_one_coin_for_the_batch_and_keeps_the_mean() -> None:
    x = torch.ones(3, 2, 2, 2)
    drawn = _draws(StochasticDepth(0.25), x, 4000)
    values = drawn.flatten(1)
    assert bool((values == values[:, :1]).all())
    assert {round(value, 4) for value in values[:, 0].tolist()} == {0.0, round(1 / 0.75, 4)}
    assert float(drawn.mean()) == pytest.approx(1.0, abs=0.03)  # 3.3 standard errors
    assert StochasticDepth(0.25).eval()(x) is x


def test_shakedrop_scales_forward_by_alpha_and_backward_by_beta() -> None:
    layer = ShakeDrop(0.4)
    kept = 0
    alphas, betas = [], []
    torch.manual_seed(0)
    for _ in range(1000):
        x = torch.full((8, 3, 2, 2), 2.0, requires_grad=True)
        out = layer(x)
        out.sum().backward()
        assert x.grad is not None
        if bool((out == 2.0).all()):
            kept += 1
            assert bool((x.grad == 1.0).all()), "b = 1: neither pass is changed"
            continue
        assert bool((out == out[:, :1, :1, :1]).all()), "one alpha for each image"
        assert bool((x.grad == x.grad[:, :1, :1, :1]).all()), "one beta for each image"
        alphas.append(out.detach()[:, 0, 0, 0] / 2.0)
        betas.append(x.grad[:, 0, 0, 0])
    alpha, beta = torch.cat(alphas), torch.cat(betas)
    assert kept / 1000 == pytest.approx(0.6, abs=0.05)
    for values, low, high in ((alpha, -1.0, 1.0), (beta, 0.0, 1.0)):
        assert low <= float(values.min()) < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < float(values.max()) <= high
        assert float(values.mean()) == pytest.approx((low + high) / 2, abs=0.02)
    assert abs(float(torch.corrcoef(torch.stack([alpha, beta]))[0, 1])) < 0.05
    assert len(set(alpha.tolist())) > 0.99 * len(alpha), "each image has its own"


def test_shakedrop_in_the_test_is_the_expectation_of_training() -> None:
    x = torch.ones(1, 1, 1, 1)
    drawn = _draws(ShakeDrop(0.5), x, 20000)
    assert torch.equal(ShakeDrop(0.5).eval()(x), torch.full_like(x, 0.5))
    assert float(drawn.mean()) == pytest.approx(0.5, abs=0.02)


def test_drop_block_drops_whole_blocks_at_the_papers_share() -> None:
    layer = DropBlock(0.1, block_size=3)
    x = torch.ones(256, 32, 10, 12)
    torch.manual_seed(0)
    out = layer(x)
    dropped = out == 0
    # Every dropped pixel lies in a block that is dropped whole and lies inside the map.
    windows = dropped.unfold(2, 3, 1).unfold(3, 3, 1).all(-1).all(-1)  # [N, C, 8, 10]: whole blocks' corners
    covered = torch.zeros_like(dropped)
    for row in range(3):
        for column in range(3):
            covered[:, :, row : row + 8, column : column + 10] |= windows
    assert torch.equal(covered, dropped)
    # Eq. 1 written plainly; a pixel in the middle stays where none of the 9 seeds around it fell.
    gamma = 0.1 / 9 * (10 * 12) / (8 * 10)
    assert float(dropped[:, :, 4:6, 4:6].float().mean()) == pytest.approx(1 - (1 - gamma) ** 9, abs=0.01)
    assert float(dropped[:, :, 0, 0].float().mean()) == pytest.approx(gamma, abs=0.005), "a corner has one seed"
    assert float(out.sum()) == pytest.approx(x.sum().item(), rel=1e-5), "scaled by count / count of ones"
    masks = dropped.flatten(2)
    assert not torch.equal(masks[:, 0], masks[:, 1]), "each channel has its own mask"


@pytest.mark.parametrize("block_size", [1, 4, 7, 20])
def test_drop_block_takes_even_and_large_blocks(block_size: int) -> None:
    torch.manual_seed(1)
    out = DropBlock(0.01, block_size)(torch.ones(256, 8, 7, 9))
    side = min(block_size, 7) * min(block_size, 9)
    sizes = (out == 0).flatten(2).sum(2)
    assert out.shape == (256, 8, 7, 9)
    assert int(sizes[sizes > 0].min()) == side


def test_drop_block_grows_with_progress_and_rests_in_the_test() -> None:
    layer = DropBlock(0.2, block_size=2)
    x = torch.ones(32, 8, 8, 8)
    shares = []
    for progress in (0.0, 0.5, 1.0):
        layer.set_progress(progress)
        torch.manual_seed(0)
        shares.append(float((layer(x) == 0).float().mean()))
    assert shares[0] == 0.0
    assert shares[1] == pytest.approx(0.1, abs=0.02)
    assert shares[2] == pytest.approx(0.2, abs=0.03)
    assert layer.eval()(x) is x
    assert not layer.state_dict()


@pytest.mark.parametrize("layer", [StochasticDepth(0.5), ShakeDrop(0.5), DropBlock(0.2, 2)])
def test_the_same_seed_gives_the_same_noise_and_types_stay(layer: torch.nn.Module) -> None:
    x = torch.randn(4, 3, 6, 6).to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
    torch.manual_seed(7)
    first = layer(x)
    torch.manual_seed(7)
    assert torch.equal(layer(x), first)
    assert first.dtype == torch.bfloat16
    assert first.is_contiguous(memory_format=torch.channels_last)
