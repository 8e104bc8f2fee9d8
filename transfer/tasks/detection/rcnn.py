"""Faster R-CNN's two halves, torchvision's with what the published recipes differ in.

torchvision's classes fix the losses' beta at 1/9 and, under autocast, decode boxes in the precision of the layers:
bfloat16 tells pixels of 512 to 1024 apart by 4. Here both layers answer in float32.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork


class TwoStage(GeneralizedRCNN):  # type: ignore[misc]  # torchvision is not typed
    """torchvision's order of the parts, without its look at every box before them.

    On a GPU that look waits for the device once an image, with nothing of the step under way. That boxes have a width
    and a height is the samples' to see to.
    """

    def forward(
        self, images: Sequence[Tensor], targets: Sequence[dict[str, Tensor]] | None = None
    ) -> dict[str, Tensor] | list[dict[str, Tensor]]:
        """Images [3, H, W] uint8 to losses in training, else to "boxes", "scores" and "labels" (from 1) of each."""
        batch, _ = self.transform(images)
        maps = self.backbone(batch.tensors)
        proposals, of_proposals = self.rpn(batch, maps, targets)
        found: list[dict[str, Tensor]]
        found, of_regions = self.roi_heads(maps, proposals, batch.image_sizes, targets)
        return {**of_regions, **of_proposals} if self.training else found


class ProposalHead(nn.Module):
    """A 3 x 3 convolution, then objectness and offsets of every anchor, in float32.

    Args:
        channels: of the maps. width: of the convolution. anchors: at each place of a map.
    """

    def __init__(self, channels: int, width: int, anchors: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, padding=1)
        self.objectness = nn.Conv2d(width, anchors, 1)
        self.offsets = nn.Conv2d(width, 4 * anchors, 1)
        for layer in (self.conv, self.objectness, self.offsets):
            _normal(layer, 0.01)

    def forward(self, maps: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Maps [N, C, H, W] to objectness [N, A, H, W] and offsets [N, 4 A, H, W] of each."""
        hidden = [F.relu(self.conv(one)) for one in maps]
        return [self.objectness(one).float() for one in hidden], [self.offsets(one).float() for one in hidden]


class Proposals(RegionProposalNetwork):  # type: ignore[misc]  # torchvision is not typed
    """torchvision's region proposal network with a beta of the boxes' smooth L1 loss."""

    def __init__(self, *args: Any, beta: float, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.beta = beta

    def compute_loss(
        self, objectness: Tensor, pred_bbox_deltas: Tensor, labels: list[Tensor], regression_targets: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Losses of the drawn anchors: objectness (mean), boxes of those with an object (sum over the number drawn)."""
        positive, negative = (torch.cat(drawn) for drawn in self.fg_bg_sampler(labels))
        yes, drawn = torch.where(positive)[0], torch.where(positive | negative)[0]
        targets = torch.cat(regression_targets)
        boxes = F.smooth_l1_loss(pred_bbox_deltas[yes], targets[yes], beta=self.beta, reduction="sum")
        what = F.binary_cross_entropy_with_logits(objectness.flatten()[drawn], torch.cat(labels)[drawn])
        return what, boxes / max(1, drawn.numel())


class Predictor(nn.Module):
    """Class scores and box offsets of regions, in float32.

    They start from normal weights of deviation .01 and .001, as in Fast R-CNN (arXiv 1504.08083, section 2.3) and all
    codes of the published recipes; torchvision's start from a linear layer's default.
    """

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.scores, self.offsets = nn.Linear(width, classes), nn.Linear(width, 4 * classes)
        _normal(self.scores, 0.01)
        _normal(self.offsets, 0.001)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Regions [R, width] to logits [R, classes] and offsets [R, 4 classes]."""
        return self.scores(x).float(), self.offsets(x).float()


class Regions(RoIHeads):  # type: ignore[misc]  # torchvision is not typed
    """torchvision's region head with a beta of the boxes' smooth L1 loss."""

    def __init__(self, *args: Any, beta: float, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.beta = beta

    def forward(
        self, features: Any, proposals: Any, image_shapes: Any, targets: Any = None
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Losses in training, detections in the test, of maps and the proposals [P, 4] of each image."""
        if not self.training:
            found: tuple[list[dict[str, Tensor]], dict[str, Tensor]] = super().forward(
                features, proposals, image_shapes
            )
            return found
        proposals, _, labels, offsets = self.select_training_samples(proposals, targets)
        logits, predicted = self.box_predictor(self.box_head(self.box_roi_pool(features, proposals, image_shapes)))
        return [], self.losses(logits, predicted, torch.cat(labels), torch.cat(offsets))

    def losses(self, logits: Tensor, predicted: Tensor, labels: Tensor, offsets: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of all regions (mean); smooth L1 of the objects' boxes (sum over the number of regions).

        Args:
            logits: [R, K + 1]. predicted: [R, 4 (K + 1)]. labels: [R], 0 the background. offsets: [R, 4].
        """
        objects = torch.where(labels > 0)[0]
        of_class = predicted.view(len(labels), -1, 4)[objects, labels[objects]]
        boxes = F.smooth_l1_loss(of_class, offsets[objects], beta=self.beta, reduction="sum")
        return {"loss_classifier": F.cross_entropy(logits, labels), "loss_box_reg": boxes / max(1, labels.numel())}


def _normal(layer: nn.Module, deviation: float) -> None:
    nn.init.normal_(layer.weight, std=deviation)  # type: ignore[arg-type]
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
