"""Stochastic depth: whole residual branches are left out in training, the deeper the more often.

Source: Huang, Sun, Liu, Sedra, Weinberger: "Deep Networks with Stochastic Depth", ECCV 2016 (arXiv 1603.09382), sec. 3:
one coin for each block and mini-batch; block l of L drops with probability (l / L) * rate, l from 1.

The paper multiplies the branch by its chance to survive in the test; here it is divided by that chance in training, as
timm and torchvision do. The expectation is the same, and a network that was trained so is tested, and travels, as a
plain one. timm's `drop_path_rate` counts l from 0 to L - 1 and throws a coin for each image: neither is the paper's.
"""

import torch
from torch import Tensor, nn


class StochasticDepth(nn.Module):
    """Zero a residual branch [N, C, H, W] for the whole batch with a probability; only in training."""

    def __init__(self, rate: float) -> None:
        """rate: probability of dropping, in [0, 1). ValueError otherwise."""
        super().__init__()
        check_rate("stochastic_depth", rate)
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """The branch, zero or divided by its chance to survive. The coin is torch's global generator's."""
        if not self.training:
            return x
        survives = torch.rand((), device=x.device) >= self.rate
        return x * (survives / (1.0 - self.rate)).to(x.dtype)

    def extra_repr(self) -> str:
        """The rate."""
        return f"rate={self.rate:.3f}"


def linear_decay(last: float, block: int, blocks: int) -> float:
    """The rate of a block: it grows linearly with depth and is `last` at the last one. block: from 1 to blocks."""
    return last * block / blocks


def check_rate(name: str, rate: float) -> None:
    """ValueError unless the rate is a probability below 1."""
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"{name}: expected a rate in [0, 1), got {rate}")
