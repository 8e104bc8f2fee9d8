"""ResNet for 32-pixel images: three stages of 16, 32 and 64 channels (times 4 with bottlenecks).

Source: He, Zhang, Ren, Sun: "Deep Residual Learning for Image Recognition", CVPR 2016 (arXiv 1512.03385), sec. 4.2, as
the CutMix authors build it (clovaai/CutMix-PyTorch, resnet.py at commit 2d8eb68; same names of tensors, same outputs):
with bottlenecks unless told otherwise, and projections (a convolution and a norm) where the shape changes, where He's
networks for CIFAR have basic blocks and shortcuts without parameters. ResNet-110 has 1,170,868 parameters so at 100
classes, and 1,736,564 with basic blocks. That the paper's ResNet-110 has bottlenecks is not said there: it is the
default of that code, and others who ran it so got the paper's error within a run's noise (issue 10 there: 20.23).

N images, K classes, H = W pixels (32 in the paper; any size of at least 4 works).
"""

from torch import Tensor, nn
from torch.nn import functional

from core.networks.pyramidnet import start_weights

_CHANNELS = (16, 32, 64)


class ResNetCIFAR(nn.Module):
    """Normalised images [N, 3, H, W] -> logits [N, K].

    Attributes:
        conv1, bn1, act1: the stem; its output, [N, 16, H, W], is act1's.
        layer1, layer2, layer3: the stages, at strides 1, 2 and 4.
        fc: the linear classifier of the pooled features.
    """

    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module

    def __init__(self, num_classes: int, depth: int = 110, bottleneck: bool = True) -> None:
        """Build it with weights from torch's global generator.

        Args:
            num_classes: K.
            depth: layers with weights: 9n + 2 with bottlenecks, else 6n + 2.
            bottleneck: blocks of 1x1, 3x3, 1x1 convolutions; else of two 3x3.

        Raises:
            ValueError: a depth that gives no whole blocks.
        """
        super().__init__()
        layers = 9 if bottleneck else 6
        if depth < layers + 2 or (depth - 2) % layers:
            raise ValueError(f"depth: expected {layers}n + 2 with bottleneck={bottleneck}, got {depth}")
        kind = _Bottleneck if bottleneck else _Basic
        inputs = _CHANNELS[0]
        self.conv1 = nn.Conv2d(3, inputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.act1 = nn.ReLU(inplace=True)
        for stage, width in enumerate(_CHANNELS, 1):
            made = []
            for i in range((depth - 2) // layers):
                made.append(kind(inputs, width, 2 if stage > 1 and i == 0 else 1))
                inputs = width * kind.expansion
            self.add_module(f"layer{stage}", nn.Sequential(*made))
        self.fc = nn.Linear(inputs, num_classes)
        start_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images [N, 3, H, W] -> logits [N, K]."""
        x = self.act1(self.bn1(self.conv1(x)))
        for stage in (self.layer1, self.layer2, self.layer3):
            x = stage(x)
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


class _Basic(nn.Module):
    """Two 3x3 convolutions, and the shortcut."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _projection(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        return functional.relu(out + (x if self.downsample is None else self.downsample(x)), inplace=True)


class _Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions, the last to four times the width, and the shortcut."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _projection(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        out = functional.relu(self.bn2(self.conv2(out)), inplace=True)
        out = self.bn3(self.conv3(out))
        return functional.relu(out + (x if self.downsample is None else self.downsample(x)), inplace=True)


def _projection(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
