"""torch's linear layer, multiplied by oneDNN where that is the faster library.

On a CPU torch leaves float32 products to MKL, which on AMD's processors runs its older kernels: oneDNN, which torch has
beside it for convolutions and LSTMs, needs half the time there (192 x 512 by 512 x 10,000: 9.4 ms against 21.1 on one
core of an EPYC with AVX-512). The products are the same but for the order of their sums. torch offers oneDNN's product
of plain tensors only under a private name, that of its compiler; where a version lacks it, MKL it is.
"""

from typing import Any, Final

import torch
from torch import Tensor, nn

_LEAST: Final = 2_000_000  # multiplications from which oneDNN wins; below, its call costs more than it saves (measured)


class Linear(nn.Linear):
    """nn.Linear: the same parameters, initialisation and values but for rounding."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        return linear(input, self.weight, self.bias)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """nn.functional.linear: [..., in], [out, in], [out] -> [..., out]."""
    if not _suits(input, weight):
        return nn.functional.linear(input, weight, bias)
    rows = input.reshape(-1, input.shape[-1]).contiguous()
    product: Tensor = (_Product.apply if torch.is_grad_enabled() else _product)(rows, weight, bias)
    return product.view(*input.shape[:-1], len(weight))


def _suits(input: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN is there, and the product one for it: float32, on the CPU, not small."""
    return (
        input.device.type == "cpu"
        and input.dtype == weight.dtype == torch.float32
        and input.numel() * len(weight) >= _LEAST
        and weight.is_contiguous()
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # torch's
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and not torch.is_autocast_enabled("cpu")
    )


def _product(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Of matrices that are contiguous, or whose transposes are: with other strides oneDNN is a hundred times slower."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(input, weight, bias, "none", [], "")
    return product


class _Product(torch.autograd.Function):
    """The product, its gradients by oneDNN too."""

    @staticmethod
    def forward(ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.biased = bias is not None
        return _product(input, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        (input, weight), gradient = ctx.saved_tensors, gradients[0].contiguous()
        return (
            _product(gradient, weight.t(), None) if ctx.needs_input_grad[0] else None,
            _product(gradient.t(), input.t(), None) if ctx.needs_input_grad[1] else None,
            gradient.sum(0) if ctx.biased else None,
        )
