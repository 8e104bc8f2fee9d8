"""How Faster R-CNN reads a ResNet: a feature pyramid (FPN), or layer3's map alone with layer4 on every region (C4).

Letters: N images, C channels, H and W of the input, R regions, s cells on a region's side.
"""

from abc import ABC, abstractmethod
from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from core.resnet import Trunk
from transfer.tasks.detection.anchors import Anchors
from transfer.tasks.detection.pooling import RegionAlign


class Parts(NamedTuple):
    """What a neck hands to Faster R-CNN."""

    maps: nn.Module  # images [N, 3, H, W] to an OrderedDict of maps, with `out_channels`
    anchors: Anchors
    pool: nn.Module
    head: nn.Module  # regions [R, C, s, s] to [R, width]
    width: int


class Neck(ABC):
    """How proposals and regions read the backbone's maps."""

    @abstractmethod
    def parts(self, body: Trunk) -> Parts:
        """The modules on the stages of a backbone."""

    @abstractmethod
    def stages(self) -> int:
        """How many of layer1 to layer4 the detector uses, from the first."""

    @abstractmethod
    def divisor(self) -> int:
        """A batch's height and width are padded to a multiple of this (pixels)."""


@dataclass(frozen=True)
class FPN(Neck):
    """A feature pyramid (Lin et al., arXiv 1612.03144), with a head of two linear layers."""

    channels: int = 256
    """Of every map of the pyramid."""
    levels: tuple[int, ...] = (1, 2, 3, 4)
    """Stages that it is built on: layer1 has stride 4, layer4 stride 32."""
    extra_level: bool = True
    """One more map, of half the size, for the proposals alone."""
    anchor_scale: float = 8.0
    """Side of the anchors in strides of their map: 8 gives 32, 64, 128, 256, 512 pixels for all levels."""
    roi_size: int = 7
    """Regions are pooled to this many cells a side."""
    canonical_side: int = 224
    """A region of this side (pixels) is pooled from stride 16; from the next finer map at half of it, and so on."""
    head_width: int = 1024
    """Of the two linear layers."""
    aligned: bool = False
    """Whether RoI align counts from pixels' centres (detectron2's ROIAlignV2); False: half a cell off, as torchvision's
    detectors and the older codes have it."""
    sampling_ratio: int = 2
    """Samples on a cell's side in RoI align (torchvision's 2); 0: as many as the region has pixels there, as in
    detectron2."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if not self.levels or any(b - a != 1 for a, b in zip(self.levels, self.levels[1:], strict=False)):
            raise ValueError(f"FPN: levels: expected consecutive stages such as (1, 2, 3, 4), got {self.levels}")
        if self.levels[0] < 1 or self.levels[-1] > 4:
            raise ValueError(f"FPN: levels: a ResNet has stages 1 to 4, got {self.levels}")
        _check_sampling("FPN", self.sampling_ratio)

    def parts(self, body: Trunk) -> Parts:
        """The pyramid, an anchor size for each of its maps, and the head."""
        strides = [2 ** (level + 1) for level in self.levels]
        pool = RegionAlign(
            {str(level): stride for level, stride in zip(self.levels, strides, strict=True)},
            self.roi_size,
            sampling_ratio=self.sampling_ratio,
            aligned=self.aligned,
            canonical_side=self.canonical_side,
        )
        if self.extra_level:
            strides.append(2 * strides[-1])
        sizes = tuple((round(self.anchor_scale * stride),) for stride in strides)
        head = TwoMLPHead(self.channels * self.roi_size**2, self.head_width)
        for layer in (head.fc6, head.fc7):  # as detectron2's; torch's default has a third of the variance
            nn.init.kaiming_uniform_(layer.weight, a=1)
            nn.init.zeros_(layer.bias)
        return Parts(Pyramid(body, self), Anchors(sizes, strides), pool, head, self.head_width)

    def stages(self) -> int:
        """Up to the coarsest level."""
        return self.levels[-1]

    def divisor(self) -> int:
        """The coarsest level's stride, so that a map twice as fine has twice its rows: both are added."""
        return int(2 ** (self.levels[-1] + 1))


@dataclass(frozen=True)
class C4(Neck):
    """Stem to layer3 as the only map (stride 16), layer4 and average pooling as the head of each region."""

    anchors: tuple[int, ...] = (128, 256, 512)
    """Sides of the anchors in pixels."""
    roi_size: int = 14
    """Regions are pooled to this many cells a side, before layer4 halves them."""
    extra_norm: bool = False
    """One more BatchNorm, always trained, after layer4 (Res5ROIHeadsExtraNorm of MoCo's detection code)."""
    aligned: bool = False
    """As in `FPN`."""
    sampling_ratio: int = 2
    """As in `FPN`."""

    def __post_init__(self) -> None:
        """Check the fields."""
        _check_sampling("C4", self.sampling_ratio)

    def parts(self, body: Trunk) -> Parts:
        """One map with all anchors; layer4 as head."""
        norm = [nn.BatchNorm2d(body.channels[3])] if self.extra_norm else []
        head = nn.Sequential(body.layer4, *norm, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        pool = RegionAlign(
            {"0": 16},
            self.roi_size,
            sampling_ratio=self.sampling_ratio,
            aligned=self.aligned,
            memory_format=torch.channels_last,
        )
        return Parts(Layer3(body), Anchors((self.anchors,), (16,)), pool, head, body.channels[3])

    def stages(self) -> int:
        """All four."""
        return 4

    def divisor(self) -> int:
        """None, as in detectron2: norms that are trained would count the padding."""
        return 1


def _check_sampling(name: str, ratio: int) -> None:
    if ratio < 0:
        raise ValueError(f"{name}: sampling_ratio: expected 0 (as many as fit) or more, got {ratio}")


class Layer3(nn.Module):
    """C4's map: [N, 3, H, W] to {"0": [N, C, H/16, W/16]}."""

    def __init__(self, body: Trunk):
        super().__init__()
        self.stages = nn.Sequential(body.stem, body.layer1, body.layer2, body.layer3)
        self.out_channels = body.channels[2]

    def forward(self, images: Tensor) -> "OrderedDict[str, Tensor]":
        """Stem to layer3."""
        return OrderedDict({"0": self.stages(images)})


class Pyramid(nn.Module):
    """FPN's maps under the names of their stages, finest first, and "pool" where there is an extra level."""

    def __init__(self, body: Trunk, neck: FPN):
        super().__init__()
        last = neck.levels[-1]
        self.stem = body.stem
        self.stages = nn.ModuleList([body.layer1, body.layer2, body.layer3, body.layer4][:last])
        self.levels = neck.levels
        self.out_channels = neck.channels
        extra = LastLevelMaxPool() if neck.extra_level else None
        self.pyramid = FeaturePyramidNetwork([body.channels[i - 1] for i in neck.levels], neck.channels, extra)

    def forward(self, images: Tensor) -> "OrderedDict[str, Tensor]":
        """[N, 3, H, W] to maps [N, channels, H/s, W/s]."""
        x = self.stem(images)
        maps: OrderedDict[str, Tensor] = OrderedDict()
        for i, stage in enumerate(self.stages, start=1):
            x = stage(x)
            if i in self.levels:
                maps[str(i)] = x
        out: OrderedDict[str, Tensor] = self.pyramid(maps)
        return out
