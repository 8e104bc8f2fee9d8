"""timm's ResNet-50 with what acts inside the network in training: stochastic depth and DropBlock as their papers say.

Sources: Huang et al., ECCV 2016 (see `stochastic_depth.py`); Ghiasi et al., NeurIPS 2018 (see `drop_block.py`), sec. 4:
DropBlock after every convolution's norm (and ReLU) and on every shortcut of groups 3 and 4, that is layer3 and layer4,
with a quarter of the rate in layer3. timm's own `drop_path_rate` and `drop_block_rate` are neither (said there).

The layers that are added hold no tensors: the names and shapes of the weights are timm's, with any of these rates.
"""

from typing import Any, cast

import timm
from torch import nn

from core.networks.drop_block import DropBlock
from core.networks.stochastic_depth import StochasticDepth, linear_decay
from core.resnet import STAGES


def resnet50(
    num_classes: int,
    stochastic_depth: float = 0.0,
    drop_block: float = 0.0,
    block_size: int = 7,
    **kwargs: Any,
) -> nn.Module:
    """Normalised images [N, 3, H, W] -> logits [N, K], with weights from torch's global generator.

    Args:
        num_classes: K.
        stochastic_depth: rate of the last block (the CutMix paper: .25).
        drop_block: final rate in layer4, a quarter of it in layer3 (its paper: .1, the CutMix paper's "keep .9").
        block_size: side of DropBlock's blocks, in pixels of the feature map.
        **kwargs: timm's arguments of `resnet50`; the rates of its own kinds are refused.

    Raises:
        ValueError: a rate outside [0, 1), or timm's own kind of it.
    """
    if theirs := {"drop_path_rate", "drop_block_rate"} & set(kwargs):
        raise ValueError(f"{', '.join(sorted(theirs))}: expected stochastic_depth or drop_block, which are the papers'")
    model: nn.Module = timm.create_model("resnet50", pretrained=False, num_classes=num_classes, **kwargs)
    stages = [cast(nn.Sequential, getattr(model, stage)) for stage in STAGES]
    blocks = [block for stage in stages for block in stage]
    for i, block in enumerate(blocks, 1):
        if stochastic_depth:
            block.drop_path = StochasticDepth(linear_decay(stochastic_depth, i, len(blocks)))
    for stage, share in zip(stages[2:], (0.25, 1.0), strict=True):
        for block in stage:
            if drop_block:
                _add_drop_block(block, DropBlock(drop_block * share, block_size))
    return model


def _add_drop_block(block: nn.Module, drop: DropBlock) -> None:
    """Put it after both activations, after the last norm and on the shortcut of a bottleneck of timm's, in place."""
    for name in ("act1", "act2"):
        setattr(block, name, nn.Sequential(getattr(block, name), drop))
    after = block.drop_path  # timm calls this between the last norm and the sum
    block.drop_path = nn.Sequential(drop, after) if isinstance(after, nn.Module) else drop
    if isinstance(block.downsample, nn.Sequential):
        block.downsample.append(drop)
    else:
        block.downsample = drop
