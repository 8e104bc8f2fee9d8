"""DropBlock: squares of a feature map are set to zero, in each channel anew, more of them as training goes on.

Source: Ghiasi, Lin, Le: "DropBlock: A regularization method for convolutional networks", NeurIPS 2018
(arXiv 1810.12890), sec. 3 and Algorithm 1, and Google's TPU ResNet, which is its code: seeds lie only where the whole
block fits, the seed's probability is eq. 1, every channel has a mask of its own, what is left is multiplied by
count(mask) / count_ones(mask) over the batch, and the rate grows linearly from 0 over the training.

timm's `drop_block_rate` differs from it: one mask for all channels, seeds anywhere, blocks of 5 and 3, one place in a
block, a constant rate. So this one is used.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.networks.stochastic_depth import check_rate


class DropBlock(nn.Module):
    """Zero blocks of [N, C, H, W]; only in training.

    `set_progress` is told the share of the training that is done; a loop that never tells it gets the full rate.
    """

    rate: Tensor

    def __init__(self, rate: float, block_size: int) -> None:
        """Take the final rate and the size of the blocks.

        Args:
            rate: share of the activations that is dropped at the end, in [0, 1) (the paper's 1 - keep_prob).
            block_size: side of a block in pixels of the feature map; a smaller map is dropped whole.

        Raises:
            ValueError: a rate outside [0, 1), a block smaller than one pixel.
        """
        super().__init__()
        check_rate("drop_block", rate)
        if block_size < 1:
            raise ValueError(f"block_size: expected at least 1 pixel, got {block_size}")
        self.final_rate, self.block_size = rate, block_size
        # A tensor, so that torch.compile sees no new constant at every step; not in the weights' file.
        self.register_buffer("rate", torch.tensor(rate), persistent=False)

    def set_progress(self, progress: float) -> None:
        """Set the rate for this share of the training, in [0, 1]."""
        self.rate.fill_(self.final_rate * progress)

    def forward(self, x: Tensor) -> Tensor:
        """The map with its blocks at zero and the rest scaled up. Seeds are torch's global generator's."""
        if not self.training:
            return x
        keep = self._mask(x)
        kept = keep.sum(dtype=torch.float32).clamp(min=1.0)
        return x * keep.mul_((keep.numel() / kept).to(x.dtype))

    def _mask(self, x: Tensor) -> Tensor:
        """1 where an activation stays: [N, C, H, W] of the type of `x`."""
        images, channels, rows, columns = x.shape
        high, wide = min(self.block_size, rows), min(self.block_size, columns)
        places = (rows - high + 1) * (columns - wide + 1)  # of a whole block
        gamma = self.rate * (rows * columns / (high * wide * places))  # eq. 1
        shape = (images, channels, rows - high + 1, columns - wide + 1)
        seeds = (torch.rand(shape, device=x.device) < gamma).to(x.dtype)
        # A seed is its block's upper left corner: a pixel is dropped by any seed at most a block up and left of it.
        padded = functional.pad(seeds, (wide - 1, wide - 1, high - 1, high - 1))
        dropped = functional.max_pool2d(padded, (high, wide), stride=1)
        return (1.0 - dropped).contiguous(memory_format=_format(x))

    def extra_repr(self) -> str:
        """The final rate and the block's side."""
        return f"rate={self.final_rate:.3f}, block_size={self.block_size}"


def _format(x: Tensor) -> torch.memory_format:
    return torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
