"""Faster R-CNN (Ren et al., arXiv 1506.01497) on any ResNet, as FPN (Lin et al., arXiv 1612.03144) or C4.

C4 is the form of the CutMix paper's code (jwyang/faster-rcnn.pytorch) and of MoCo's detection transfer: one map, from
layer3, proposes and is pooled; layer4 is the head of every region.
"""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FasterRCNN as TorchvisionFasterRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from core.backbone import Backbone
from core.resnet import Trunk
from transfer.tasks.detection.data import Fit, Scenes, flip
from transfer.tasks.detection.task import Detection

RATIOS = (0.5, 1.0, 2.0)  # of anchors, height to width


class Parts(NamedTuple):
    """What a neck hands to torchvision's FasterRCNN."""

    maps: nn.Module  # images [N, 3, H, W] to an OrderedDict of maps, with `out_channels`
    anchors: Any
    pool: Any
    head: nn.Module  # regions [R, C, s, s] to [R, width]
    width: int


class Neck(ABC):
    """How proposals and regions read the backbone's maps."""

    @abstractmethod
    def parts(self, body: Trunk) -> Parts:
        """The modules on the stages of a backbone."""


@dataclass(frozen=True)
class FPN(Neck):
    """A feature pyramid, with a head of two linear layers."""

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

    def __post_init__(self) -> None:
        """Check the fields."""
        if not self.levels or any(b - a != 1 for a, b in zip(self.levels, self.levels[1:], strict=False)):
            raise ValueError(f"FPN: levels: expected consecutive stages such as (1, 2, 3, 4), got {self.levels}")
        if self.levels[0] < 1 or self.levels[-1] > 4:
            raise ValueError(f"FPN: levels: a ResNet has stages 1 to 4, got {self.levels}")

    def parts(self, body: Trunk) -> Parts:
        """The pyramid, an anchor size for each of its maps, and the head."""
        strides = [2 ** (level + 1) for level in self.levels]
        if self.extra_level:
            strides.append(2 * strides[-1])
        sizes = tuple((round(self.anchor_scale * stride),) for stride in strides)
        names = [str(level) for level in self.levels]
        pool = MultiScaleRoIAlign(names, self.roi_size, sampling_ratio=2, canonical_scale=self.canonical_side)
        head = TwoMLPHead(self.channels * self.roi_size**2, self.head_width)
        return Parts(Pyramid(body, self), AnchorGenerator(sizes, (RATIOS,) * len(sizes)), pool, head, self.head_width)


@dataclass(frozen=True)
class C4(Neck):
    """Stem to layer3 as the only map (stride 16), layer4 and average pooling as the head of each region."""

    anchors: tuple[int, ...] = (128, 256, 512)
    """Sides of the anchors in pixels."""
    roi_size: int = 14
    """Regions are pooled to this many cells a side, before layer4 halves them."""

    def parts(self, body: Trunk) -> Parts:
        """One map with all anchors; layer4 as head."""
        head = nn.Sequential(body.layer4, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        pool = MultiScaleRoIAlign(["0"], self.roi_size, sampling_ratio=2)
        return Parts(Layer3(body), AnchorGenerator((self.anchors,), (RATIOS,)), pool, head, body.channels[3])


@dataclass(frozen=True)
class FasterRCNN(Detection):
    """Faster R-CNN; the defaults are FPN at the usual scale."""

    divisor: ClassVar[int] = 32

    neck: Neck = field(default_factory=FPN)
    """FPN(...) or C4(...)."""
    size: Fit = field(default_factory=Fit)
    """Size of the images in training and test."""
    anchors_per_image: int = 256
    """Anchors that count in the proposals' loss."""
    regions_per_image: int = 512
    """Proposals that count in the regions' loss, at most a quarter of them objects."""
    candidates: tuple[int, int] = (2000, 1000)
    """Proposals of a map before non-maximum suppression, in training and test."""
    proposals: tuple[int, int] = (2000, 1000)
    """Proposals of an image that go on, in training and test."""

    def input_size(self) -> Fit:
        """The same as in training."""
        return self.size

    def train_samples(self, records: Sequence[Any]) -> Scenes:
        """Horizontal flips."""
        return Scenes(records, self.size, flip(), keep_difficult=self.keep_difficult, cache=self.cache_images)

    def detector(self, body: Trunk, backbone: Backbone, classes: int) -> nn.Module:
        """torchvision's FasterRCNN with the neck's parts."""
        parts = self.neck.parts(body)
        model: nn.Module = TorchvisionFasterRCNN(
            parts.maps,
            rpn_anchor_generator=parts.anchors,
            rpn_pre_nms_top_n_train=self.candidates[0],
            rpn_pre_nms_top_n_test=self.candidates[1],
            rpn_post_nms_top_n_train=self.proposals[0],
            rpn_post_nms_top_n_test=self.proposals[1],
            rpn_batch_size_per_image=self.anchors_per_image,
            box_roi_pool=parts.pool,
            box_head=parts.head,
            box_predictor=FastRCNNPredictor(parts.width, classes + 1),
            box_score_thresh=self.score_threshold,
            box_nms_thresh=self.nms_iou,
            box_detections_per_img=self.detections,
            box_batch_size_per_image=self.regions_per_image,
        )
        return model


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
