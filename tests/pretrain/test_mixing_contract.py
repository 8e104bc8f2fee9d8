"""What every mixing method must hold; collected from the folder, so a new file is tested without editing this one."""

from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest
import torch

import pretrain.mixing
from pretrain.mixing.base import Mixing
from tests.collecting import plugins

METHODS = plugins(pretrain.mixing, Mixing)
SHAPES = [(4, 3, 16, 16), (1, 3, 16, 16), (5, 3, 7, 11), (2, 1, 1, 1), (3, 8, 4, 9)]


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=METHODS, ids=[m.__name__ for m in METHODS])
def mixing(request: pytest.FixtureRequest) -> Mixing:
    made = request.param()
    assert isinstance(made, Mixing)
    return made


def test_the_folder_holds_the_four_rows() -> None:
    assert {m.__name__ for m in METHODS} >= {"NoMixing", "Mixup", "Cutout", "CutMix"}


def test_is_a_frozen_dataclass_with_documented_class(mixing: Mixing) -> None:
    assert is_dataclass(mixing)
    assert type(mixing).__doc__
    for field in fields(mixing):
        with pytest.raises(FrozenInstanceError):
            setattr(mixing, field.name, 0)


@pytest.mark.parametrize("shape", SHAPES)
def test_same_generator_state_same_result(mixing: Mixing, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=_generator(1))
    for seed in range(20):
        torch.manual_seed(seed)  # the global state must not matter
        first_generator, second_generator = _generator(seed), _generator(seed)
        first = mixing.draw(shape, first_generator)
        torch.manual_seed(seed + 1)
        second = mixing.draw(shape, second_generator)
        assert torch.equal(mixing.apply(x, first), mixing.apply(x, second))
        assert torch.equal(first_generator.get_state(), second_generator.get_state())
        assert first.lam == second.lam


def test_apply_draws_nothing(mixing: Mixing) -> None:
    x = torch.randn(4, 3, 8, 8)
    draw = mixing.draw(x.shape, _generator(3))
    before = torch.get_rng_state()
    assert torch.equal(mixing.apply(x, draw), mixing.apply(x, draw))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("shape", SHAPES)
def test_shape_type_values_and_input_kept(mixing: Mixing, shape: tuple[int, ...]) -> None:
    for seed in range(20):
        x = torch.rand(shape, generator=_generator(seed)) + 1.0
        original = x.clone()
        mixed = mixing.apply(x, mixing.draw(shape, _generator(seed)))
        assert torch.equal(x, original), "the input was written to"
        assert mixed.shape == x.shape
        assert mixed.dtype == x.dtype
        assert torch.isfinite(mixed).all()
        assert mixed.max() <= x.max() * (1 + 1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_target_weights(mixing: Mixing, shape: tuple[int, ...]) -> None:
    labels = torch.arange(shape[0]) * 3
    for seed in range(20):
        draw = mixing.draw(shape, _generator(seed))
        targets = mixing.targets(labels, draw)
        assert torch.equal(targets.labels_a, labels)
        assert targets.labels_b.shape == labels.shape
        assert 0.0 <= targets.lam <= 1.0  # the weights are lam and 1 - lam: they sum to 1
        if draw.partner is None:
            assert targets.lam == 1.0
        else:
            assert sorted(draw.partner.tolist()) == list(range(shape[0]))
            assert torch.equal(targets.labels_b, labels[draw.partner])


def test_channels_last_is_kept_and_gives_the_same(mixing: Mixing) -> None:
    x = torch.randn(6, 3, 9, 10)
    for seed in range(10):
        draw = mixing.draw(x.shape, _generator(seed))
        last = mixing.apply(x.to(memory_format=torch.channels_last), draw)
        assert last.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(last, mixing.apply(x, draw))


def test_uint8_moves_pixels_or_refuses(mixing: Mixing) -> None:
    x = torch.randint(0, 256, (4, 3, 12, 12), dtype=torch.uint8)
    draw = mixing.draw(x.shape, _generator(5))
    if not mixing.takes_uint8:
        with pytest.raises(ValueError, match="uint8"):
            mixing.apply(x, draw)
        return
    mixed = mixing.apply(x, draw)
    assert mixed.dtype == torch.uint8
    assert torch.equal(mixed.float(), mixing.apply(x.float(), draw))


def test_works_at_a_layers_output_with_gradient(mixing: Mixing) -> None:
    x = torch.randn(4, 16, 5, 5, requires_grad=True)
    mixing.apply(x * 1.0, mixing.draw(x.shape, _generator(0))).sum().backward()  # type: ignore[no-untyped-call]  # torch's own
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_half_precision(mixing: Mixing) -> None:
    x = torch.randn(4, 3, 6, 6).to(torch.bfloat16)
    assert mixing.apply(x, mixing.draw(x.shape, _generator(1))).dtype == torch.bfloat16


@pytest.mark.parametrize("method", [m for m in METHODS if any(field.name == "probability" for field in fields(m))])
def test_probability_zero_changes_nothing(method: type[Mixing]) -> None:
    never = method(probability=0.0)  # type: ignore[call-arg]  # the field is there: see the line above
    x = torch.randn(4, 3, 8, 8)
    for seed in range(10):
        draw = never.draw(x.shape, _generator(seed))
        assert draw.changes_nothing
        assert torch.equal(never.apply(x, draw), x)
    with pytest.raises(ValueError, match="probability"):
        method(probability=1.5)  # type: ignore[call-arg]  # as above
