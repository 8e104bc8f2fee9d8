"""What every mixing method must hold; collected from the folder, so a new file is tested without editing this one."""

from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest
import torch

import pretrain.mixing
from core.mixing import INPUT
from core.normalize import normalize
from core.peers import take
from core.targets import Targets
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
        assert (first.box, first.boxes) == (second.box, second.boxes)


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
        draw = mixing.draw(shape, _generator(seed), progress=0.5)
        targets = mixing.targets(Targets.of(labels), draw)
        assert sum(weight for _, weight in targets.parts) == pytest.approx(1.0, abs=1e-12)
        for part, weight in targets.parts:
            assert 0.0 < weight <= 1.0
            assert sorted(part.tolist()) == labels.tolist(), "a part is the batch's labels, shuffled"
        if draw.partner is None and not draw.parts:
            assert torch.equal(targets.parts[0][0], labels)
        if draw.partner is not None:
            assert sorted(draw.partner.tolist()) == list(range(shape[0]))
            weights = [(labels, mixing.label_weight(draw)), (labels[draw.partner], 1 - mixing.label_weight(draw))]
            wanted = [(part, weight) for part, weight in weights if weight > 0]
            assert [weight for _, weight in targets.parts] == pytest.approx([weight for _, weight in wanted])
            assert all(torch.equal(a, b) for (a, _), (b, _) in zip(targets.parts, wanted, strict=True))
    assert labels.tolist() == [3 * i for i in range(shape[0])], "the labels were written to"


@pytest.mark.parametrize("size", [(16, 16), (7, 11), (1, 5)])
def test_lambda_is_the_share_of_an_image_that_stayed(mixing: Mixing, size: tuple[int, int]) -> None:
    """Image i is 1 in channel i and 0 elsewhere: a channel's mean says how much of image i is in another."""
    images = 5
    x = torch.eye(images)[:, :, None, None].expand(images, images, *size).contiguous()
    for seed in range(40):
        draw = mixing.draw(x.shape, _generator(seed), progress=0.5)
        shares = mixing.apply(x, draw).mean((2, 3))  # [image, where it came from]
        assert (shares.sum(1) <= 1 + 1e-6).all()
        if draw.partner is not None:
            expected = draw.lam * torch.eye(images) + (1 - draw.lam) * torch.eye(images)[draw.partner]
            torch.testing.assert_close(shares, expected, atol=1e-6, rtol=0)
        elif not draw.parts:
            assert (shares.fill_diagonal_(0.0) == 0).all(), "something of another image without a partner"


def test_what_is_written_into_and_what_is_new_are_the_same(mixing: Mixing) -> None:
    for seed in range(20):
        x = torch.randn(6, 3, 9, 10, generator=_generator(seed)).to(memory_format=torch.channels_last)
        draw = mixing.draw(x.shape, _generator(seed), progress=0.5)
        if draw.changes_nothing:
            continue
        expected = mixing.mix(x, draw, take)
        torch.testing.assert_close(mixing.mix_(x.clone(), draw, take), expected, rtol=1e-6, atol=1e-6)


def test_outside_the_box_every_bit_stays(mixing: Mixing) -> None:
    for seed in range(20):
        x = torch.randn(4, 3, 12, 13, generator=_generator(seed))
        draw = mixing.draw(x.shape, _generator(seed), progress=0.5)
        mixed = mixing.apply(x, draw)
        boxes = draw.boxes if draw.box is None else [draw.box] * 4
        for i, (y0, x0, y1, x1) in enumerate(boxes):
            outside = torch.ones(12, 13, dtype=torch.bool)
            outside[y0:y1, x0:x1] = False
            assert torch.equal(mixed[i][:, outside], x[i][:, outside])


def test_bytes_before_are_what_numbers_after_normalising_are(mixing: Mixing) -> None:
    """The three ways that a training step may take: bytes, one pass with the normalisation, numbers."""
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    pixels = torch.randint(0, 256, (5, 3, 11, 9), dtype=torch.uint8).to(memory_format=torch.channels_last)
    for seed in range(20):
        draw = mixing.draw(pixels.shape, _generator(seed), progress=0.5)
        after = mixing.apply(normalize(pixels, mean, std), draw)
        if mixing.takes_uint8:
            assert torch.equal(normalize(mixing.apply(pixels, draw), mean, std), after)
        blend = mixing.blend(draw)
        if blend is not None:
            torch.testing.assert_close(normalize(pixels, mean, std, None, blend), after, rtol=1e-5, atol=3e-6)


def test_is_placed_as_it_is_drawn(mixing: Mixing) -> None:
    """Every place is a site that was said, and its draw is for that site's shape."""
    x = {INPUT: torch.randn(4, 3, 16, 16), **{site: torch.randn(4, 8, 5, 6) for site in mixing.layers()}}
    for seed in range(20):
        placed = mixing.place(lambda site: x[site].shape, _generator(seed), 0.5)
        again = mixing.place(lambda site: x[site].shape, _generator(seed), 0.5)
        assert [one.site for one in placed] == [one.site for one in again]
        for one, other in zip(placed, again, strict=True):
            assert torch.equal(one.mixing.apply(x[one.site], one.draw), other.mixing.apply(x[other.site], other.draw))


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
    hidden = x * 1.0
    mixed = mixing.apply(hidden, mixing.draw(x.shape, _generator(0), progress=0.9))
    slope = torch.randn(x.shape)
    (gradient,) = torch.autograd.grad((mixed * slope).sum(), x)
    # Every mixing is linear in the images: what it makes of a step along a direction is the gradient along it.
    step = torch.randn(x.shape)
    moved = mixing.apply(hidden + step, mixing.draw(x.shape, _generator(0), progress=0.9))
    torch.testing.assert_close((gradient * step).sum(), ((moved - mixed) * slope).sum(), rtol=1e-3, atol=1e-3)


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
