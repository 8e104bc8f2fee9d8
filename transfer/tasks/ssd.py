"""SSD on any ResNet (Liu et al., arXiv 1512.02325; amdegroot/ssd.pytorch, which the CutMix paper used, with VGG's
conv4_3 replaced by layer2's output).

Maps are read from layer2, layer3, layer4 and from extra blocks that halve the map. At 300 pixels a ResNet-50 gives
38, 19, 10, 5, 3, 1 and, with VOC's default boxes, the original's 8732 boxes.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.ssd import SSDHead

from core.backbone import Backbone
from core.resnet import Trunk
from transfer.tasks.detection.augmentation import SSDAugmentation
from transfer.tasks.detection.data import Scenes, Square
from transfer.tasks.detection.multibox import MultiBox, default_boxes
from transfer.tasks.detection.task import Detection


@dataclass(frozen=True)
class SSD(Detection):
    """SSD; the defaults are SSD300 for VOC."""

    freeze_at: int = 0
    norms_frozen: bool = False
    score_threshold: float = 0.01
    nms_iou: float = 0.45
    detections: int = 200
    candidates: int = 400
    """Boxes of each class, the best, that non-maximum suppression looks at. ssd.pytorch: 200, and then it keeps all
    that are left of each class, whatever its top_k says."""

    side: int = 300
    """Images are squares of this many pixels."""
    extras: tuple[int, ...] = (512, 256, 256)
    """Channels of the maps after layer4. Each halves the one before; a map of 3 x 3 becomes 1 x 1."""
    scales: tuple[float, ...] = (0.1, 0.2, 0.37, 0.54, 0.71, 0.88, 1.05)
    """Sides of the default boxes as fractions of the image's: one for each map, and one more. VOC's: 30 of 300, ..."""
    ratios: tuple[tuple[int, ...], ...] = ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))
    """Aspect ratios of the default boxes of each map, beside 1: 2 means 2:1 and 1:2."""
    steps: tuple[int, ...] | None = (8, 16, 32, 64, 100, 300)
    """Pixels between default boxes of each map. None: the side divided by the map's size."""
    first_scale: float | None = 20.0
    """Length that layer2's channel vectors are brought to, times a learned scale. None: taken as they are."""
    extra_norms: bool = False
    """BatchNorm in the extra blocks (the original has none)."""
    augmentation: SSDAugmentation = field(default_factory=SSDAugmentation)
    """Of the training images."""
    negatives: float = 3.0
    """Background boxes that count in the loss, for each box that holds an object: those with the highest loss."""

    def __post_init__(self) -> None:
        """Check the fields."""
        super().__post_init__()
        maps = 3 + len(self.extras)
        have = {"scales": len(self.scales) - 1, "ratios": len(self.ratios), "steps": len(self.steps or self.ratios)}
        wrong = {name: count for name, count in have.items() if count != maps}
        if wrong:
            raise ValueError(
                f"SSD reads {maps} maps (layer2-4 and {len(self.extras)} extras), but {wrong} (scales: less one)"
            )
        map_sizes(self.side, maps)  # raises where the side is too small for so many

    def input_size(self) -> Square:
        """A square."""
        return Square(self.side)

    def sizes(self) -> str:
        """A square in both."""
        return f"{self.side} x {self.side}"

    def train_samples(self, records: Sequence[Any]) -> Scenes:
        """Squares out of SSD's augmentation."""
        size, augment = self.input_size(), self.augmentation
        return Scenes(records, size, augment, keep_difficult=self.keep_difficult, cache=self.cache_images)

    def detector(self, body: Trunk, backbone: Backbone, classes: int) -> nn.Module:
        """`MultiBox` on the maps of `Maps`."""
        maps = Maps(body, self.side, self.extras, self.first_scale, norms=self.extra_norms)
        each = [2 + 2 * len(ratios) for ratios in self.ratios]  # boxes at a place of each map
        return MultiBox(
            maps,
            Head(maps.out_channels, each, classes + 1),
            default_boxes(self.side, maps.sizes, self.scales, self.ratios, self.steps),
            self.side,
            negatives=self.negatives,
            score_threshold=self.score_threshold,
            nms_iou=self.nms_iou,
            candidates=self.candidates,
            detections=self.detections,
        )


class Head(SSDHead):  # type: ignore[misc]  # torchvision is not typed
    """torchvision's head, its answers in float32: under autocast boxes would be decoded in a few bits."""

    def forward(self, x: list[Tensor]) -> dict[str, Tensor]:
        """Maps to "bbox_regression" [N, boxes, 4] and "cls_logits" [N, boxes, classes]."""
        return {name: found.float() for name, found in super().forward(x).items()}


class Maps(nn.Module):
    """The feature maps that SSD reads, finest first.

    Args:
        body: a ResNet's stages.
        side: of the square input, in pixels.
        extras: channels of the maps after layer4.
        first_scale: see `SSD.first_scale`.
        norms: BatchNorm in the extra blocks.
    """

    def __init__(self, body: Trunk, side: int, extras: Sequence[int], first_scale: float | None, *, norms: bool):
        super().__init__()
        self.body = body
        self.out_channels = [*body.channels[1:], *extras]
        self.sizes = map_sizes(side, 3 + len(extras))
        self.first_scale = None if first_scale is None else nn.Parameter(torch.full((body.channels[1],), first_scale))
        inputs = [body.channels[3], *extras[:-1]]
        plan = zip(inputs, extras, self.sizes[2:], strict=False)
        self.extras = nn.ModuleList(_extra(before, after, size, norms=norms) for before, after, size in plan)

    def forward(self, images: Tensor) -> "OrderedDict[str, Tensor]":
        """[N, 3, side, side] to the maps [N, C, S, S] under the names "0", "1", ..."""
        body = self.body
        fine = body.layer2(body.layer1(body.stem(images)))
        maps = [fine, body.layer3(fine)]
        maps.append(body.layer4(maps[-1]))
        for block in self.extras:
            maps.append(block(maps[-1]))
        if self.first_scale is not None:
            maps[0] = F.normalize(fine) * self.first_scale[:, None, None]
        return OrderedDict((str(i), one) for i, one in enumerate(maps))


def map_sizes(side: int, maps: int) -> list[int]:
    """Sides of the maps for an input of `side` pixels: strides 8, 16, 32, then each extra halves.

    Raises:
        ValueError: the input is so small that an extra block would read a 1 x 1 map.
    """
    sizes = [-(-side // stride) for stride in (8, 16, 32)]
    while len(sizes) < maps:
        if sizes[-1] == 1:
            raise ValueError(
                f"SSD: {maps} maps of an input of {side} pixels: the maps are {sizes}, none is left to halve"
            )
        sizes.append(1 if sizes[-1] == 3 else -(-sizes[-1] // 2))
    return sizes


def _extra(before: int, after: int, size: int, *, norms: bool) -> nn.Sequential:
    """1 x 1 to half of the channels, then 3 x 3 to the next map: valid where the map is 3 x 3, else with stride 2."""
    valid = size == 3
    reduce = nn.Conv2d(before, after // 2, 1)
    shrink = nn.Conv2d(after // 2, after, 3, stride=1 if valid else 2, padding=0 if valid else 1)
    layers: list[nn.Module] = []
    for convolution in (reduce, shrink):
        nn.init.xavier_uniform_(convolution.weight)
        assert convolution.bias is not None
        nn.init.zeros_(convolution.bias)
        norm = [nn.BatchNorm2d(convolution.out_channels)] if norms else []
        layers += [convolution, *norm, nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
