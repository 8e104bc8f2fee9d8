"""Labels of mixed images, and their loss, without an [N, K] one-hot.

N images of a batch, K classes. A mixed image has several labels, each with its share of the whole; mixings compose, so
that two of them in turn give up to four parts.
Source: mixup (Zhang et al., arXiv 1710.09412) and CutMix (Yun et al., arXiv 1905.04899), sec. 3.1; label smoothing:
Szegedy et al., "Rethinking the Inception Architecture", arXiv 1512.00567, sec. 7.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional


@dataclass(frozen=True)
class Targets:
    """What a batch should be classified as."""

    parts: tuple[tuple[Tensor, float], ...]
    """(labels [N] int64, their weight in (0, 1]); the weights sum to 1."""

    @classmethod
    def of(cls, labels: Tensor) -> "Targets":
        """The targets of images that are not mixed; `labels`: [N] int64."""
        return cls(((labels, 1.0),))

    def mixed(self, lam: float, partners: Callable[[Tensor], Tensor]) -> "Targets":
        """`lam` of these, the rest of the partners'.

        Args:
            lam: the weight of an image's own labels, in [0, 1].
            partners: labels [N] -> their partners' [N].
        """
        if lam == 1.0:
            return self
        others = tuple((partners(labels), weight * (1.0 - lam)) for labels, weight in self.parts)
        return Targets(others if lam == 0.0 else (*((labels, w * lam) for labels, w in self.parts), *others))


def soft_cross_entropy(logits: Tensor, targets: Targets, smoothing: float = 0.0) -> Tensor:
    """The mean cross-entropy of a batch against weighted labels: the sum over parts of ``weight * CE(labels)``.

    One log-softmax whatever the number of parts, the gradient written out (softmax minus target, over N), so that it
    costs what a hard cross-entropy does. Half precision is computed in float32, as torch's own is under autocast.

    Args:
        logits: [N, K].
        targets: labels with weights.
        smoothing: share of every target that is spread evenly over all K classes, in [0, 1); as torch's
            ``label_smoothing``.

    Returns:
        A scalar in nats; differentiable once.
    """
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    labels, weights = zip(*targets.parts, strict=True)
    function = _OnePass if _compiled(logits) else _Written
    loss: Tensor = function.apply(logits, smoothing, weights, *labels)
    return loss


def _compiled(logits: Tensor) -> bool:
    """Whether the compiled pass can be used: on the CPU, and where torch.compile does not trace."""
    return logits.device.type == "cpu" and logits.dtype == torch.float32 and not torch.compiler.is_compiling()


class _Written(torch.autograd.Function):
    """`soft_cross_entropy` in torch's own kernels; labels come last since their number varies."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, smoothing: float, weights: tuple[float, ...], *labels: Tensor) -> Tensor:
        log_probabilities = functional.log_softmax(logits, dim=1)  # [N, K]
        ctx.save_for_backward(log_probabilities, *labels)
        ctx.smoothing, ctx.weights = smoothing, weights
        loss = torch.zeros((), dtype=log_probabilities.dtype, device=logits.device)
        for own, weight in zip(labels, weights, strict=True):
            loss = loss + functional.nll_loss(log_probabilities, own) * (weight * (1.0 - smoothing))
        return loss - log_probabilities.mean() * smoothing if smoothing else loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        log_probabilities, *labels = ctx.saved_tensors
        images, classes = log_probabilities.shape
        result = log_probabilities.exp()  # [N, K]
        if ctx.smoothing:
            result -= ctx.smoothing / classes
        for own, weight in zip(labels, ctx.weights, strict=True):
            away = result.new_full((1, 1), -weight * (1.0 - ctx.smoothing)).expand(images, 1)
            result.scatter_add_(1, own[:, None], away)
        result *= gradient / images
        return (result, None, None, *(None for _ in labels))


class _OnePass(torch.autograd.Function):
    """The same with loss and gradient computed together, by `core/entropy_cpu.py`."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, smoothing: float, weights: tuple[float, ...], *labels: Tensor) -> Tensor:
        from core.entropy_cpu import loss_and_gradient  # numba: loaded where it is used

        gradient = torch.empty(logits.shape)
        loss = loss_and_gradient(
            logits.contiguous().numpy(),
            torch.stack(labels).numpy(),
            np.array(weights, np.float32),
            smoothing,
            gradient.numpy(),
        )
        ctx.save_for_backward(gradient)
        return torch.tensor(loss, dtype=torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        labels = len(ctx.needs_input_grad) - 3
        return (slope * gradient, None, None, *(None for _ in range(labels)))
