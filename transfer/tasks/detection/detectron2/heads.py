"""detectron2's proposal network and region heads, from a FasterRCNN task's fields.

What the task has no field for is detectron2's default: anchors matched at .3 and .7, regions at .5, half of the drawn
anchors objects, offsets' weights 1, 1, 1, 1 and 10, 10, 5, 5, anchors centred on the corners of their cells, fresh
weights as its classes draw them.
"""
# mypy: disable-error-code="import-not-found,import-untyped,misc,unused-ignore,no-untyped-call"

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from detectron2.layers import ShapeSpec
from detectron2.modeling.anchor_generator import DefaultAnchorGenerator
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.matcher import Matcher
from detectron2.modeling.poolers import ROIPooler
from detectron2.modeling.proposal_generator import RPN
from detectron2.modeling.proposal_generator.rpn import StandardRPNHead
from detectron2.modeling.roi_heads import FastRCNNConvFCHead, FastRCNNOutputLayers, Res5ROIHeads, StandardROIHeads
from torch import Tensor, nn

from transfer.tasks.detection.anchors import RATIOS
from transfer.tasks.detection.necks import C4, FPN

if TYPE_CHECKING:
    from transfer.tasks.faster_rcnn import FasterRCNN


def proposals(task: "FasterRCNN", shapes: Mapping[str, Any], sizes: Sequence[Sequence[float]]) -> nn.Module:
    """The region proposal network.

    Args:
        task: its fields.
        shapes: a ShapeSpec of each map that proposes, finest first.
        sizes: sides of each map's anchors, in pixels.
    """
    first = next(iter(shapes.values()))
    anchors = DefaultAnchorGenerator(
        sizes=[list(map(float, one)) for one in sizes],
        aspect_ratios=[list(RATIOS)],
        strides=[shape.stride for shape in shapes.values()],
        offset=0.0,
    )
    network: nn.Module = RPN(
        in_features=list(shapes),
        head=StandardRPNHead(
            in_channels=first.channels,
            num_anchors=anchors.num_anchors[0],
            conv_dims=[task.proposal_channels or -1],
        ),
        anchor_generator=anchors,
        anchor_matcher=Matcher([0.3, 0.7], [0, -1, 1], allow_low_quality_matches=True),
        box2box_transform=Box2BoxTransform(weights=(1.0, 1.0, 1.0, 1.0)),
        batch_size_per_image=task.anchors_per_image,
        positive_fraction=0.5,
        pre_nms_topk=task.candidates,
        post_nms_topk=task.proposals,
        nms_thresh=task.proposal_nms_iou,
        smooth_l1_beta=task.proposal_beta,
    )
    return network


def c4_regions(task: "FasterRCNN", neck: C4, res5: nn.Module, width: int, classes: int) -> nn.Module:
    """res5 on every region, one more norm where the neck says so, then the predictor. width: res5's channels."""
    head = nn.Sequential()
    head.add_module("res5", res5)
    if neck.extra_norm:
        head.add_module("norm", nn.BatchNorm2d(width))
    regions: nn.Module = Res5ROIHeads(
        in_features=["res4"],
        pooler=_pooler(neck, (16,), 224),
        res5=head,
        box_predictor=_predictor(task, width, classes),
        **_sampling(task, classes),
    )
    return regions


def fpn_regions(task: "FasterRCNN", neck: FPN, shapes: Mapping[str, Any], classes: int) -> nn.Module:
    """Two linear layers on regions of the pyramid's maps, then the predictor. shapes: of the maps to pool from."""
    head = FastRCNNConvFCHead(
        ShapeSpec(channels=neck.channels, height=neck.roi_size, width=neck.roi_size),
        conv_dims=[],
        fc_dims=[neck.head_width, neck.head_width],
    )
    regions: nn.Module = StandardROIHeads(
        box_in_features=list(shapes),
        box_pooler=_pooler(neck, [shape.stride for shape in shapes.values()], neck.canonical_side),
        box_head=head,
        box_predictor=_predictor(task, neck.head_width, classes),
        **_sampling(task, classes),
    )
    return regions


class FloatPooler(ROIPooler):
    """detectron2's pooler in float32: under bfloat16 it rounds a region's corner at 500 pixels to a multiple of 2."""

    def forward(self, x: list[Tensor], box_lists: list[Any]) -> Tensor:
        """Maps [N, C, H, W] and boxes of each image to regions [R, C, s, s]."""
        pooled: Tensor = super().forward([one.float() for one in x], box_lists)
        return pooled


def _pooler(neck: C4 | FPN, strides: Sequence[int], canonical_side: int) -> nn.Module:
    return FloatPooler(
        output_size=neck.roi_size,
        scales=[1 / stride for stride in strides],
        sampling_ratio=neck.sampling_ratio,
        pooler_type="ROIAlignV2" if neck.aligned else "ROIAlign",
        canonical_box_size=canonical_side,
        canonical_level=4,
    )


def _predictor(task: "FasterRCNN", width: int, classes: int) -> nn.Module:
    layers: nn.Module = FastRCNNOutputLayers(
        ShapeSpec(channels=width),
        box2box_transform=Box2BoxTransform(weights=(10.0, 10.0, 5.0, 5.0)),
        num_classes=classes,
        test_score_thresh=task.score_threshold,
        test_nms_thresh=task.nms_iou,
        test_topk_per_image=task.detections,
        smooth_l1_beta=task.box_beta,
    )
    return layers


def _sampling(task: "FasterRCNN", classes: int) -> dict[str, Any]:
    return {
        "num_classes": classes,
        "batch_size_per_image": task.regions_per_image,
        "positive_fraction": task.foreground_share,
        "proposal_matcher": Matcher([0.5], [0, 1], allow_low_quality_matches=False),
    }
