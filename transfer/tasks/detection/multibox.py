"""SSD's losses and detections (Liu et al., arXiv 1512.02325, section 2.2), by the rules of amdegroot/ssd.pytorch.

Letters: N images, D default boxes, M objects of the image that has most, K classes without the background.
Default boxes and objects are compared as fractions of the image's side, as that code does: where two default boxes are
equally good for an object, rounding says which is taken, and it is the same one. All images of a batch are worked on at
once, without asking a device for a value: torchvision's SSD does it some ten times an image.
"""

import math
from collections.abc import Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torchvision.ops import batched_nms

Answer = dict[str, Tensor]


class MultiBox(nn.Module):
    """A single-shot detector. Its parts have the names of torchvision's; `transform` is to be set to a `Normalizer`.

    In training it returns the losses "bbox_regression" and "classification"; else for each image "boxes" [B, 4] (pixels
    of the input), "scores" and "labels" (from 1), the best first. Boxes are cut at the image's edge before suppression,
    as torchvision does; ssd.pytorch suppresses and scores them with what is beyond it.

    Args:
        backbone: images [N, 3, side, side] to maps. head: maps to "bbox_regression" [N, D, 4] and "cls_logits"
            [N, D, K + 1].
        boxes: default boxes [D, 4] as centre and sides, fractions of the side.
        side: of the input, in pixels.
        negatives: background boxes that count in the loss for each that holds an object.
        score_threshold, nms_iou, candidates, detections: see `transfer.tasks.ssd.SSD`.
    """

    boxes: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        boxes: Tensor,
        side: int,
        *,
        negatives: float,
        score_threshold: float,
        nms_iou: float,
        candidates: int,
        detections: int,
    ):
        super().__init__()
        self.transform: nn.Module = nn.Identity()
        self.backbone, self.head, self.side, self.negatives = backbone, head, side, negatives
        self.score_threshold, self.nms_iou = score_threshold, nms_iou
        self.candidates, self.limit = candidates, detections
        self.register_buffer("boxes", boxes, persistent=False)

    def forward(self, images: Sequence[Tensor], targets: Sequence[Answer] | None = None) -> Answer | list[Answer]:
        """Images [3, side, side] uint8 to losses or detections; targets: "boxes" [B, 4] in pixels, "labels" from 1."""
        batch, _ = self.transform(images)
        found = self.head(list(self.backbone(batch.tensors).values()))
        offsets, logits = found["bbox_regression"], found["cls_logits"]
        if not self.training:
            return self.detections(offsets, logits)
        assert targets is not None, "training without targets"
        objects = pad_sequence([one["boxes"] for one in targets], batch_first=True) / self.side
        return self.losses(offsets, logits, objects, pad_sequence([one["labels"] for one in targets], batch_first=True))

    def losses(self, offsets: Tensor, logits: Tensor, objects: Tensor, labels: Tensor) -> Answer:
        """Smooth L1 of the boxes that hold an object, cross-entropy of these and of the hardest others, over their sum.

        Args:
            offsets: [N, D, 4]. logits: [N, D, K + 1].
            objects: corners [N, M, 4], fractions of the side. labels: [N, M], 0 where an image has no more objects.
        """
        index = match(objects, labels, corners(self.boxes))  # [N, D]
        holds = index >= 0
        if objects.shape[1]:
            classes = labels.gather(1, index.clamp(min=0)) * holds
            truth = objects.gather(1, index.clamp(min=0)[..., None].expand(-1, -1, 4))
        else:
            classes, truth = torch.zeros_like(index), corners(self.boxes)[None]
        wanted = encode(torch.where(holds[..., None], truth, corners(self.boxes)), self.boxes)
        location = F.smooth_l1_loss(offsets, wanted, reduction="none").sum(-1)  # [N, D]
        entropy = F.cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="none").view_as(classes)
        counts = holds | hardest(entropy.detach().masked_fill(holds, -math.inf), self.negatives * holds.sum(1))
        held = holds.sum().clamp(min=1)
        return {
            "bbox_regression": torch.where(holds, location, 0).sum() / held,
            "classification": torch.where(counts, entropy, 0).sum() / held,
        }

    def detections(self, offsets: Tensor, logits: Tensor) -> list[Answer]:
        """What is found in each image. Arguments as in `losses`."""
        boxes = (decode(offsets, self.boxes) * self.side).clamp(0, self.side)
        scores = logits.softmax(-1)[..., 1:].transpose(1, 2).contiguous()  # [N, K, D]
        best, which = scores.topk(min(self.candidates, scores.shape[2]), dim=2)
        return [self._suppressed(*image) for image in zip(boxes, best, which, strict=True)]

    def _suppressed(self, boxes: Tensor, best: Tensor, which: Tensor) -> Answer:
        """One image: boxes [D, 4], each class's best scores [K, C] and the boxes [K, C] that they are of."""
        label, place = torch.where(best > self.score_threshold)
        found = {"boxes": boxes[which[label, place]], "scores": best[label, place], "labels": label + 1}
        kept = batched_nms(found["boxes"], found["scores"], found["labels"], self.nms_iou)[: self.limit]
        return {name: values[kept] for name, values in found.items()}


def default_boxes(
    side: int,
    maps: Sequence[int],
    scales: Sequence[float],
    ratios: Sequence[Sequence[int]],
    steps: Sequence[int] | None,
) -> Tensor:
    """Default boxes [D, 4] as centre and sides, fractions of the image's side; ssd.pytorch's PriorBox.

    By map, row and column; of each place the square, the one between this scale and the next, then w:1 and 1:w of each
    ratio. Nothing lies beyond the image: at 300 pixels and a step of 32 the last of 10 centres would be at 304.

    Args:
        side: of the input, in pixels. maps: sides of the maps, in cells.
        scales: sides of the squares as fractions, one for each map and one more. ratios: of each map, beside 1.
        steps: pixels between the boxes of each map; None: they cover the side evenly.
    """
    found = []
    for i, cells in enumerate(maps):
        scale, step = scales[i], 1 / cells if steps is None else steps[i] / side
        shapes = [(scale, scale), (math.sqrt(scale * scales[i + 1]),) * 2]
        for ratio in ratios[i]:
            wide, narrow = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
            shapes += [(wide, narrow), (narrow, wide)]
        for y, x in product(range(cells), repeat=2):
            found += [((x + 0.5) * step, (y + 0.5) * step, *shape) for shape in shapes]
    return torch.tensor(found).clamp(0, 1)


def match(objects: Tensor, labels: Tensor, boxes: Tensor, threshold: float = 0.5) -> Tensor:
    """The object [N, D] that each default box is to find, -1 for none.

    Each object gets its best default box, of objects with the same best one the last; every other box gets the object
    that it overlaps most, where that is by `threshold` (IoU) or more.

    Args:
        objects: corners [N, M, 4]. labels: [N, M], 0 where there is no object. boxes: corners [D, 4].
    """
    images, most = labels.shape
    none = torch.full((images, len(boxes)), -1, device=labels.device)
    if most == 0:
        return none
    low = torch.maximum(objects[:, :, None, :2], boxes[:, :2])  # [N, M, D, 2]
    high = torch.minimum(objects[:, :, None, 2:], boxes[:, 2:])
    inside = (high - low).clamp(min=0).prod(-1)
    overlaps = inside / (_area(objects)[..., None] + _area(boxes) - inside)
    most_overlap, index = overlaps.max(1)
    turn = torch.where(labels > 0, torch.arange(most, device=labels.device), -1)
    forced = none.scatter_reduce(1, overlaps.argmax(2), turn, "amax")
    return torch.where(forced >= 0, forced, torch.where(most_overlap >= threshold, index, -1))


def hardest(losses: Tensor, counts: Tensor) -> Tensor:
    """Which of an image's losses [N, D] are among its `counts` [N] highest; of equal ones the first."""
    order = losses.sort(dim=1, descending=True, stable=True).indices
    ranks = torch.arange(losses.shape[1], device=losses.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, ranks) < counts[:, None]


def encode(objects: Tensor, boxes: Tensor) -> Tensor:
    """Offsets [..., D, 4] from default boxes [D, 4] (centre, sides) to corners [..., D, 4], in units of .1 and .2."""
    centre = ((objects[..., :2] + objects[..., 2:]) / 2 - boxes[:, :2]) / (0.1 * boxes[:, 2:])
    return torch.cat([centre, ((objects[..., 2:] - objects[..., :2]) / boxes[:, 2:]).log() / 0.2], -1)


def decode(offsets: Tensor, boxes: Tensor) -> Tensor:
    """Corners [..., D, 4] of default boxes [D, 4] moved by offsets [..., D, 4]: the inverse of `encode`."""
    centre = boxes[:, :2] + 0.1 * offsets[..., :2] * boxes[:, 2:]
    sides = boxes[:, 2:] * (0.2 * offsets[..., 2:]).exp()
    return torch.cat([centre - sides / 2, centre + sides / 2], -1)


def corners(boxes: Tensor) -> Tensor:
    """Boxes [D, 4] of centre and sides as x0, y0, x1, y1."""
    return torch.cat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)
