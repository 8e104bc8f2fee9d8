"""PyramidNet for 32-pixel images: residual blocks whose width grows by a constant at every block.

Source: Han, Kim, Kim: "Deep Pyramidal Residual Networks", CVPR 2017 (arXiv 1610.02915), as the CutMix authors build it
(clovaai/CutMix-PyTorch, pyramidnet.py at commit 2d8eb68; same names of tensors, same outputs): no ReLU before a block's
first convolution, a norm after its last one, shortcuts without parameters (mean of 2 x 2 pixels, missing channels
zero). 26,844,952 parameters at depth 200, alpha 240 and 100 classes; 1,725,300 at depth 110, alpha 64.

N images, K classes, C channels of a stage, H = W pixels (32 in the paper; any size of at least 4 works).
"""

from torch import Tensor, nn
from torch.nn import functional

from core.networks.drop_block import DropBlock
from core.networks.shakedrop import ShakeDrop
from core.networks.stochastic_depth import StochasticDepth, linear_decay

_STEM = 16  # channels of the first convolution
_STAGES = 3


class PyramidNet(nn.Module):
    """Normalised images [N, 3, H, W] -> logits [N, K].

    Attributes:
        conv1, bn1: the stem; its output, [N, 16, H, W], is bn1's.
        layer1, layer2, layer3: the stages, at strides 1, 2 and 4.
        fc: the linear classifier of the pooled features.
    """

    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module

    def __init__(
        self,
        num_classes: int,
        depth: int = 200,
        alpha: float = 240.0,
        bottleneck: bool = True,
        stochastic_depth: float = 0.0,
        shakedrop: float = 0.0,
        drop_block: float = 0.0,
        block_size: int = 4,
    ) -> None:
        """Build it with weights from torch's global generator.

        Args:
            num_classes: K.
            depth: layers with weights: 9n + 2 with bottlenecks, else 6n + 2.
            alpha: channels that are added from the first to the last block (before a bottleneck's factor of 4).
            bottleneck: blocks of 1x1, 3x3, 1x1 convolutions; else of two 3x3.
            stochastic_depth: rate of the last block; acts in training only.
            shakedrop: rate of the last block (1 - p; .5 in its paper); changes the test as well.
            drop_block: final rate of DropBlock in the last stage, a quarter of it in the one before, after each of a
                branch's convolutions; acts in training only. Its paper has groups 3 and 4 of ResNet-50 in this way, and
                the shortcuts: with 22 blocks a stage those would be dropped nearly whole, so they are not.
            block_size: side of DropBlock's blocks, in pixels of the feature map.

        Raises:
            ValueError: a depth that gives no whole blocks, a rate outside [0, 1), both kinds of depth's noise.
        """
        super().__init__()
        layers = 9 if bottleneck else 6
        if depth < layers + 2 or (depth - 2) % layers:
            raise ValueError(f"depth: expected {layers}n + 2 with bottleneck={bottleneck}, got {depth}")
        if stochastic_depth and shakedrop:
            raise ValueError("stochastic_depth and shakedrop both scale the branches; set one of them")
        each = (depth - 2) // layers
        blocks = _STAGES * each
        kind = _Bottleneck if bottleneck else _Basic
        widths = _widths(alpha, blocks)
        inputs = [_STEM, *(kind.expansion * width for width in widths)]
        self.conv1 = nn.Conv2d(3, _STEM, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_STEM)
        for stage in range(_STAGES):
            made = []
            for i in range(stage * each, (stage + 1) * each):
                scale = _scale(stochastic_depth, shakedrop, i + 1, blocks)
                rate = drop_block * (0.0, 0.25, 1.0)[stage]
                stride = 2 if stage and i == stage * each else 1
                made.append(kind(inputs[i], widths[i], stride, scale, rate, block_size))
            self.add_module(f"layer{stage + 1}", nn.Sequential(*made))
        self.bn_final = nn.BatchNorm2d(inputs[-1])
        self.fc = nn.Linear(inputs[-1], num_classes)
        start_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images [N, 3, H, W] -> logits [N, K]."""
        x = self.bn1(self.conv1(x))
        for stage in (self.layer1, self.layer2, self.layer3):
            x = stage(x)
        x = functional.relu(self.bn_final(x), inplace=True)
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


class _Basic(nn.Module):
    """Two 3x3 convolutions, and the shortcut."""

    expansion = 1

    def __init__(
        self, inputs: int, width: int, stride: int, scale: nn.Module, drop_rate: float, block_size: int
    ) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.drop = DropBlock(drop_rate, block_size) if drop_rate else nn.Identity()
        self.scale, self.stride = scale, stride

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv1(self.bn1(x))
        out = self.conv2(self.drop(functional.relu(self.bn2(out), inplace=True)))
        out = self.scale(self.drop(self.bn3(out)))
        return out + _shortcut(x, self.stride, out.shape[1])


class _Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, the last to four times the width, and the shortcut."""

    expansion = 4

    def __init__(
        self, inputs: int, width: int, stride: int, scale: nn.Module, drop_rate: float, block_size: int
    ) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, width * self.expansion, 1, bias=False)
        self.bn4 = nn.BatchNorm2d(width * self.expansion)
        self.drop = DropBlock(drop_rate, block_size) if drop_rate else nn.Identity()
        self.scale, self.stride = scale, stride

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv1(self.bn1(x))
        out = self.conv2(self.drop(functional.relu(self.bn2(out), inplace=True)))
        out = self.conv3(self.drop(functional.relu(self.bn3(out), inplace=True)))
        out = self.scale(self.drop(self.bn4(out)))
        return out + _shortcut(x, self.stride, out.shape[1])


def start_weights(network: nn.Module) -> None:
    """Convolutions from N(0, 2 / (k * k * outputs)), the authors' start; norms start at weight 1 and bias 0 as made."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _shortcut(x: Tensor, stride: int, channels: int) -> Tensor:
    if stride > 1:
        x = functional.avg_pool2d(x, stride, stride, ceil_mode=True)
    return functional.pad(x, (0, 0, 0, 0, 0, channels - x.shape[1]))


def _widths(alpha: float, blocks: int) -> list[int]:
    """The blocks' widths: sums of alpha / blocks, rounded, added up as the authors do so that halves round alike."""
    exact = [float(_STEM)]
    for _ in range(blocks):
        exact.append(exact[-1] + alpha / blocks)
    return [round(width) for width in exact[1:]]


def _scale(stochastic_depth: float, shakedrop: float, block: int, blocks: int) -> nn.Module:
    if shakedrop:
        return ShakeDrop(linear_decay(shakedrop, block, blocks))
    if stochastic_depth:
        return StochasticDepth(linear_decay(stochastic_depth, block, blocks))
    return nn.Identity()
