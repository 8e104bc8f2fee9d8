"""torch's linear layer, multiplied by oneDNN where that is the faster library.

On a CPU torch leaves float32 products to MKL, which on AMD's processors runs its older kernels. oneDNN, which torch has
beside it, needs half the time there (192 x 512 by 512 x 10,000: 10 ms against 21 on one core of an EPYC with
AVX-512; forward and backward of 210 x 300 by 300 x 8,800: 20 against 39). torch multiplies by it where the input is in
oneDNN's layout (`Tensor.to_mkldnn`). The products are the same but for the order of their sums.
"""

from typing import Final

import torch
from torch import Tensor, nn

_LEAST: Final = 2_000_000  # multiplications from which oneDNN wins, about; below, its call costs more than it saves


class Linear(nn.Linear):
    """nn.Linear: the same parameters, initialisation and values but for rounding."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        return linear(input, self.weight, self.bias)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """nn.functional.linear: [..., in], [out, in], [out] -> [..., out]."""
    if not _suits(input, weight):
        return nn.functional.linear(input, weight, bias)
    product = nn.functional.linear(input.to_mkldnn(), weight).to_dense()
    # The bias apart: its gradient is then torch's sum, on which the bits of published tables rest.
    return product if bias is None else product.add_(bias)


def _suits(input: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN is there, not switched off, and the product one for it: float32, on the CPU, not small."""
    return (
        input.device.type == "cpu"
        and input.dtype == weight.dtype == torch.float32
        and input.numel() * len(weight) >= _LEAST
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # torch's
        and bool(torch.backends.mkldnn.enabled)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()  # which knows no tensors of oneDNN's layout, and picks its own product
    )
