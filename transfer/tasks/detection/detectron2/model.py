"""detectron2's Faster R-CNN behind the interface of torchvision's detectors, so that loop and evaluator are the same.

The network, its losses, its sampling and its post-processing are detectron2's classes (commit 02b5c4e); the backbone's
weights, the data, the schedule and the evaluator are ours.
"""
# mypy: disable-error-code="import-not-found,import-untyped,misc,unused-ignore,no-untyped-call"

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from detectron2.layers import FrozenBatchNorm2d
from detectron2.modeling import GeneralizedRCNN
from detectron2.modeling.backbone.fpn import FPN as Detectron2FPN
from detectron2.modeling.backbone.fpn import LastLevelMaxPool
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import EventStorage
from torch import Tensor, nn

from core.backbone import Backbone
from core.errors import UserError
from transfer.tasks.detection.detectron2.available import require
from transfer.tasks.detection.detectron2.heads import c4_regions, fpn_regions, proposals
from transfer.tasks.detection.detectron2.network import Body, Places, body
from transfer.tasks.detection.freezing import FrozenNorm
from transfer.tasks.detection.necks import C4, FPN

if TYPE_CHECKING:
    from transfer.tasks.faster_rcnn import FasterRCNN

LOSSES = {
    "loss_cls": "loss_classifier",
    "loss_box_reg": "loss_box_reg",
    "loss_rpn_cls": "loss_objectness",
    "loss_rpn_loc": "loss_rpn_box_reg",
}
"""detectron2's names of the losses, and torchvision's."""


def build(task: "FasterRCNN", backbone: Backbone, classes: int) -> "Detector":
    """detectron2's Faster R-CNN on a backbone's weights.

    Args:
        task: fields of the detector; its neck is a C4 or an FPN.
        backbone: as loaded, nothing frozen; its modules or its tensors are taken over.
        classes: without the background.

    Raises:
        UserError: no detectron2, no ResNet, or a neck that this engine has not.
    """
    version, neck, spec = require(), task.neck, backbone.spec
    if not isinstance(neck, C4 | FPN):
        raise UserError(f"engine=detectron2: expected the neck C4 or FPN, got {type(neck).__name__}")
    features = ("res4",) if isinstance(neck, C4) else tuple(f"res{level + 1}" for level in neck.levels)
    found = body(
        backbone.model,
        features,
        freeze_at=task.freeze_at,
        norms_frozen=task.norms_frozen,
        head=isinstance(neck, C4),
    )
    maps, rpn, regions = _c4(task, neck, found, classes) if isinstance(neck, C4) else _fpn(task, neck, found, classes)
    network = GeneralizedRCNN(
        backbone=maps,
        proposal_generator=rpn,
        roi_heads=regions,
        pixel_mean=[255 * value for value in spec.mean],
        pixel_std=[255 * value for value in spec.std],
        input_format="RGB",
    )
    detector = Detector(network, found.places, f"detectron2 {version}, {found.form}")
    return detector.to(memory_format=torch.channels_last)  # as the other engine's; a step takes 6 % less


def _c4(task: "FasterRCNN", neck: C4, found: Body, classes: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    assert found.res5 is not None
    rpn = proposals(task, found.bottom_up.output_shape(), [neck.anchors])
    return found.bottom_up, rpn, c4_regions(task, neck, found.res5, found.channels[3], classes)


def _fpn(task: "FasterRCNN", neck: FPN, found: Body, classes: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    extra = None
    if neck.extra_level:
        extra = LastLevelMaxPool()
        extra.in_feature = f"p{neck.levels[-1] + 1}"  # it expects p5, layer4's
    pyramid = Detectron2FPN(found.bottom_up, list(found.bottom_up.output_shape()), neck.channels, top_block=extra)
    shapes = pyramid.output_shape()
    sizes = [(round(neck.anchor_scale * shape.stride),) for shape in shapes.values()]
    pooled = {name: shapes[name] for name in list(shapes)[: len(neck.levels)]}
    return pyramid, proposals(task, shapes, sizes), fpn_regions(task, neck, pooled, classes)


class Detector(nn.Module):
    """detectron2's GeneralizedRCNN with the calls of a torchvision detector.

    Attributes:
        facts: engine and version, and which network stands there, in words, for the report.
    """

    def __init__(self, network: nn.Module, places: Places, facts: str):
        super().__init__()
        self.network = network
        self.facts = facts
        self._places = places

    def forward(
        self, images: Sequence[Tensor], targets: Sequence[Mapping[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """The losses in training, else the detections.

        Args:
            images: [3, H, W] uint8, RGB, of any sizes.
            targets: for each image "boxes" [B, 4] (x0, y0, x1, y1 in its pixels) and "labels" [B] (from 1).

        Returns:
            The losses under torchvision's names; or for each image "boxes", "labels" (from 1) and "scores", best first.

        Raises:
            UserError: the training has diverged, so that a proposal is not finite.
        """
        inputs: list[dict[str, Any]] = [{"image": image} for image in images]
        if not self.training:
            found = [one["instances"] for one in self.network(inputs)]
            return [
                {"boxes": one.pred_boxes.tensor, "labels": one.pred_classes + 1, "scores": one.scores} for one in found
            ]
        assert targets is not None, "training needs targets"
        for one, image, target in zip(inputs, images, targets, strict=True):
            one["instances"] = _instances(image, target)
        try:
            with EventStorage():  # its heads count regions there; nobody reads it
                losses: dict[str, Tensor] = self.network(inputs)
        except FloatingPointError as error:
            raise UserError(
                f"detectron2: {error} A smaller learning rate, a longer warm-up or clip_norm may help"
            ) from error
        return {ours: losses[theirs] for theirs, ours in LOSSES.items()}

    def trunk_tensors(self) -> dict[str, Tensor]:
        """The backbone's tensors that are in use, by their names in the backbone file."""
        return {name: getattr(module, leaf) for name, (module, leaf) in self._places.items()}

    def frozen_norms(self) -> list[str]:
        """The backbone's norms that keep pretraining's statistics and scales, by their names in the backbone file."""
        held = {id(module.norm) for module in self.modules() if isinstance(module, FrozenNorm)}
        norms = {
            name.rpartition(".")[0]: module for name, (module, leaf) in self._places.items() if leaf == "running_mean"
        }
        return [name for name, one in norms.items() if isinstance(one, FrozenBatchNorm2d) or id(one) in held]


def _instances(image: Tensor, target: Mapping[str, Tensor]) -> Any:
    """An image's objects as detectron2 has them, classes from 0."""
    objects = Instances((int(image.shape[-2]), int(image.shape[-1])))
    objects.gt_boxes = Boxes(target["boxes"])
    objects.gt_classes = target["labels"] - 1
    return objects
