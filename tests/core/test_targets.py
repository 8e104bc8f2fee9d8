"""The label loss against torch's own on a dense target, its gradient against autograd's; how targets compose."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from core.targets import Targets, _compiled, soft_cross_entropy


def _dense(targets: Targets, classes: int) -> Tensor:
    """The target distribution [N, K] written plainly."""
    return torch.stack([weight * functional.one_hot(labels, classes).double() for labels, weight in targets.parts]).sum(
        0
    )


def _targets(parts: int, images: int, classes: int) -> Targets:
    generator = torch.Generator().manual_seed(parts)
    weights = torch.rand(parts, generator=generator, dtype=torch.float64) + 0.1
    shares = (weights / weights.sum()).tolist()
    return Targets(tuple((torch.randint(classes, (images,), generator=generator), share) for share in shares))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("parts", [1, 2, 4])
@pytest.mark.parametrize(("images", "classes"), [(1, 1), (7, 10), (33, 1000), (64, 37)])
def test_loss_and_gradient_equal_the_dense_form(images: int, classes: int, parts: int, smoothing: float) -> None:
    targets = _targets(parts, images, classes)
    plain = (torch.randn(images, classes, dtype=torch.float64) * 6).requires_grad_()
    # torch's smoothing of a dense target: (1 - s) * target + s / K
    expected = functional.cross_entropy(plain, _dense(targets, classes), label_smoothing=smoothing)
    torch.autograd.backward(expected)
    assert plain.grad is not None
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 3e-6)):  # torch's kernels, and the compiled pass
        logits = plain.detach().to(dtype).requires_grad_()
        assert _compiled(logits) == (dtype == torch.float32)
        loss = soft_cross_entropy(logits, targets, smoothing)
        torch.autograd.backward(3 * loss)
        assert loss.dtype == dtype
        torch.testing.assert_close(loss.double(), expected, rtol=tolerance, atol=tolerance)
        assert logits.grad is not None
        torch.testing.assert_close(logits.grad.double(), 3 * plain.grad, rtol=1e-4, atol=tolerance / 10)


def test_gradcheck_of_what_is_written_out() -> None:
    targets = _targets(3, 4, 6)
    logits = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: soft_cross_entropy(x, targets, 0.2), logits)


def test_large_small_and_broken_logits() -> None:
    labels = torch.tensor([0, 1, 2])
    logits = torch.tensor([[1e4, -1e4, 0.0], [-300.0, 80.0, 79.0], [0.0, -torch.inf, 1.0]])
    expected = functional.cross_entropy(logits, labels)
    torch.testing.assert_close(soft_cross_entropy(logits, Targets.of(labels)), expected)
    for broken in (torch.nan, -torch.nan, torch.inf):
        for place in range(3):
            spoilt = torch.zeros(2, 3)
            spoilt[1, place] = broken
            assert not soft_cross_entropy(spoilt, Targets.of(labels[:2])).isfinite(), (broken, place)


@pytest.mark.parametrize("label", [-1, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_label_that_is_no_class_is_refused(label: int, dtype: torch.dtype) -> None:
    with pytest.raises(IndexError, match="out of bounds"):
        soft_cross_entropy(torch.zeros(2, 5, dtype=dtype), Targets.of(torch.tensor([0, label])))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    targets = _targets(2, 8, 50)
    logits = (torch.randn(8, 50) * 4).to(dtype).requires_grad_()
    loss = soft_cross_entropy(logits, targets)
    assert loss.dtype == torch.float32
    expected = functional.cross_entropy(logits.detach().float(), _dense(targets, 50).float())
    torch.testing.assert_close(loss, expected)
    torch.autograd.backward(loss)
    assert logits.grad is not None
    assert logits.grad.dtype == dtype


def test_autocast_and_compile_give_the_same() -> None:
    targets = _targets(2, 8, 20)
    layer = torch.nn.Linear(5, 20)
    x = torch.randn(8, 5)

    def loss() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return soft_cross_entropy(layer(x), targets, 0.1)

    plain = loss()
    torch.autograd.backward(plain)
    gradient = layer.weight.grad
    assert gradient is not None
    layer.weight.grad = None
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)()
    torch.autograd.backward(compiled)
    torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer.weight.grad, gradient, rtol=2e-2, atol=1e-3)  # bfloat16's rounding


def test_differentiates_once_and_says_so() -> None:
    logits = torch.randn(3, 4, requires_grad=True)
    (slope,) = torch.autograd.grad(soft_cross_entropy(logits, _targets(1, 3, 4)), logits, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.autograd.backward(slope.sum())


def test_targets_compose() -> None:
    labels = torch.tensor([0, 1, 2])
    once = Targets.of(labels).mixed(0.75, lambda own: own.roll(1))
    assert [(part.tolist(), weight) for part, weight in once.parts] == [([0, 1, 2], 0.75), ([2, 0, 1], 0.25)]
    twice = once.mixed(0.5, lambda own: own.flip(0))
    plain = 0.5 * _dense(once, 3) + 0.5 * _dense(once, 3).flip(0)
    torch.testing.assert_close(_dense(twice, 3), plain)
    assert sum(weight for _, weight in twice.parts) == pytest.approx(1.0)
    assert once.mixed(1.0, lambda own: own.flip(0)) is once
    assert [weight for _, weight in once.mixed(0.0, lambda own: own).parts] == [0.75, 0.25]
