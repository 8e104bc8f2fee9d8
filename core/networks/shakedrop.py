"""ShakeDrop: a residual branch is multiplied by noise in the forward pass and by other noise in the backward pass.

Source: Yamada, Iwamura, Akiba, Kise: "ShakeDrop Regularization for Deep Residual Learning", IEEE Access 2019
(arXiv 1802.02375), and its setting for PyramidNet:

    training, forward   x + (b + alpha - b * alpha) F(x)
    training, backward  the same with beta for alpha
    test                x + E[b + alpha - b * alpha] F(x) = x + p F(x)

b is 1 with probability p, one coin for each block and mini-batch; alpha in [-1, 1] and beta in [0, 1] are uniform; p
falls linearly with depth to .5 at the last block. alpha and beta are drawn for each image, as in
owruby/shake-drop_pytorch, with which others reproduced the CutMix paper's CutMix + ShakeDrop (five runs, last epochs'
mean 14.02, the paper's best epochs 13.81: issue 7 of clovaai/CutMix-PyTorch); the ShakeDrop paper has them for each
batch, image, channel or element too. The CutMix paper names no values of its own.

The factor p stays in the test, so a network with ShakeDrop is another function than one without: it belongs to the
architecture (`Pretrain.kwargs`) and not to what acts in training only.
"""

from typing import Any

import torch
from torch import Tensor, nn

from core.networks.stochastic_depth import check_rate


class ShakeDrop(nn.Module):
    """Scale a residual branch [N, C, H, W] as above."""

    def __init__(self, rate: float) -> None:
        """rate: 1 - p, the probability that the branch is disturbed, in [0, 1). ValueError otherwise."""
        super().__init__()
        check_rate("shakedrop", rate)
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """The scaled branch. Noise comes from torch's global generator."""
        if not self.training:
            return x * (1.0 - self.rate)
        kept = torch.rand((), device=x.device) >= self.rate
        alpha, beta = torch.rand((2, len(x), 1, 1, 1), device=x.device)  # each [N, 1, 1, 1]
        alpha, beta = torch.where(kept, 1.0, alpha * 2.0 - 1.0), torch.where(kept, 1.0, beta)
        scaled = _TwoScales.apply(x, alpha.to(x.dtype), beta.to(x.dtype))
        assert isinstance(scaled, Tensor)
        return scaled

    def extra_repr(self) -> str:
        """The rate."""
        return f"rate={self.rate:.3f}"


class _TwoScales(torch.autograd.Function):
    """x -> forward_scale * x, whose gradient is multiplied by backward_scale."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, forward_scale: Tensor, backward_scale: Tensor) -> Tensor:
        ctx.save_for_backward(backward_scale)
        return x * forward_scale

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (backward_scale,) = ctx.saved_tensors
        return gradients[0] * backward_scale, None, None
