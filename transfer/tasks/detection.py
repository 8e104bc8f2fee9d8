"""What the detection tasks share: VOC as data, frozen parts, predictions as a COCO results list, VOC07's mAP.

A detector here is a torchvision model on the stages of any ResNet (`core.resnet.Trunk`). It takes uint8 images and
normalises them by the backbone's own mean and standard deviation; resizing is the samples' work (`detection_data`).
"""

import logging
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from core.backbone import Backbone
from core.config import unhashed
from core.data.records import Need
from core.data.voc import VOC
from core.errors import UserError
from core.images import normalize
from core.resnet import Trunk, trunk
from core.stage import Metric, Outcome
from eval.detection import Detections, voc_ap
from transfer.task import Task
from transfer.tasks.detection_data import Batch, Example, Scenes, Size, collate

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Detection(Task):
    """Fields and code of every detection task."""

    divisor: ClassVar[int] = 1
    """Batches are padded to a multiple of this (pixels)."""

    data: VOC = field(default_factory=VOC)
    """Data set; its splits "train" and "test" are used."""
    keep_difficult: bool = False
    """Whether objects marked difficult are learned from. They never count in the test, as in VOC's rules."""
    freeze_at: int = 2
    """How many parts of the backbone stay as they are, of stem, layer1, ..., layer4: 2 is stem and layer1; 0 none."""
    norms_frozen: bool = True
    """Whether the backbone's BatchNorms keep pretraining's statistics and scales. Those of frozen parts always do."""
    decay_biases: bool = True
    """Whether weight decay applies to biases and to the scales of norms."""
    score_threshold: float = 0.01
    """Detections below this score are dropped."""
    nms_iou: float = 0.5
    """Of two detections of a class that overlap more than this, the weaker is dropped."""
    detections: int = 100
    """Detections kept in an image."""
    cache_images: bool = unhashed(False)
    """Keep decoded training images in memory: for sets of a few hundred images."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if not 0 <= self.freeze_at <= 5:
            raise ValueError(f"freeze_at: expected 0 (nothing) to 5 (the whole backbone), got {self.freeze_at}")
        if self.detections < 1:
            raise ValueError(f"detections: expected at least 1, got {self.detections}")

    @abstractmethod
    def detector(self, body: Trunk, backbone: Backbone, classes: int) -> nn.Module:
        """The torchvision detector on the backbone's stages. classes: without the background."""

    @abstractmethod
    def input_size(self) -> Size:
        """The size at which images are shown to the network in the test."""

    @abstractmethod
    def train_samples(self, records: Sequence[Any]) -> Scenes:
        """The training set with its augmentation."""

    def needs(self) -> tuple[Need, ...]:
        """Train and test split of the data set."""
        return Need(self.data, "train"), Need(self.data, "test")

    def model(self, backbone: Backbone, root: Path) -> nn.Module:
        """The detector, its backbone's first parts and norms frozen as the fields say.

        Raises:
            UserError: not a ResNet, or one whose layer4 keeps layer3's resolution.
        """
        if backbone.spec.layer4_stride1:
            raise UserError(
                f"{type(self).__name__} expects a backbone whose layer4 halves the map; this one's does not"
            )
        body = trunk(backbone.model)
        freeze(body, self.freeze_at, norms=self.norms_frozen)
        detector = self.detector(body, backbone, len(self.data.classes(root)))
        detector.transform = Normalizer(backbone.spec.mean, backbone.spec.std, self.divisor)
        tensors = list(detector.parameters())
        fixed = sum(not p.requires_grad for p in tensors)
        norms = sum(isinstance(m, FrozenNorm) for m in detector.modules())
        _log.info("detector: %d of %d parameter tensors fixed, %d norms frozen", fixed, len(tensors), norms)
        return detector

    def parameters(self, model: nn.Module) -> list[dict[str, Any]]:
        """What is trained: weights, and biases with norm scales as a group of their own."""
        trained = [p for p in model.parameters() if p.requires_grad]
        if self.decay_biases:
            return [{"params": trained}]
        weights, vectors = [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim <= 1]
        return [{"params": weights}, {"params": vectors, "weight_decay": 0.0}]

    def train_data(self, root: Path) -> Scenes:
        """Augmented training images."""
        return self.train_samples(self.data.records(root, "train"))

    def test_data(self, root: Path) -> Scenes:
        """Test images, resized only."""
        return Scenes(self.data.records(root, "test"), self.input_size())

    def collate(self, samples: list[Example]) -> Batch:
        """Examples as a batch."""
        return collate(samples)

    def loss(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of the detector's losses, and each of them; proposals are drawn from torch's global generator."""
        pairs = zip(batch.boxes, batch.labels, strict=True)
        parts: dict[str, Tensor] = model(batch.images, [{"boxes": boxes, "labels": labels} for boxes, labels in pairs])
        return torch.stack(list(parts.values())).sum(), {name: part.detach() for name, part in parts.items()}

    def predict(self, model: nn.Module, batch: Batch) -> list[Any]:
        """For each image its detections, as COCO results in the file's own pixels, best first."""
        found = model(batch.images)
        columns = zip(found, batch.images, batch.ids, batch.sizes, strict=True)
        return [
            coco_results(one["boxes"], one["scores"], one["labels"], (image.shape[-1], image.shape[-2]), id, size)
            for one, image, id, size in columns
        ]

    def save(self, predictions: list[Any]) -> list[dict[str, Any]]:
        """One list of detections, in the order of the test images."""
        return [detection for image in predictions for detection in image]

    def score(self, saved: Any, root: Path) -> Outcome:
        """VOC07's numbers on the saved results list, in percent.

        map: 11-point AP at IoU .5, the headline; map_area: the same by the area under the curve (VOC10 and later);
        ap, ap75: 11-point means over the ten IoUs .5 to .95, and at .75. Beside them the headline of every class.
        """
        found = Detections.from_coco(saved)
        scenes, classes = self.data.records(root, "test"), self.data.classes(root)
        points, area = (voc_ap(found, scenes, classes, rule) for rule in ("11 points", "area"))
        numbers = {"map": points.ap50, "map_area": area.ap50, "ap": points.ap, "ap75": points.ap75}
        more = {"ap50_per_class": points.ap50_per_class, "without_ground_truth": list(points.without_ground_truth)}
        return Outcome(
            {name: Metric(value, "%", True) for name, value in numbers.items()}, {**more, "boxes": len(saved)}
        )


class Normalizer(nn.Module):
    """Stands where torchvision's detectors resize and normalise: takes uint8 images at their final size.

    torchvision's own transform would enlarge small images to a short side of 800 unless told otherwise. Images are
    padded with zeros after normalisation, to the largest of the batch rounded up to a multiple of `divisor`.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], divisor: int):
        super().__init__()
        self.mean, self.std, self.divisor = tuple(mean), tuple(std), divisor

    def forward(self, images: Sequence[Tensor], targets: Any = None) -> tuple[Any, Any]:
        """Images [3, H, W] uint8 to one torchvision ImageList [N, 3, H', W'] float; targets as they came."""
        sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
        height, width = (max(side) for side in zip(*sizes, strict=True))
        up = [-(-side // self.divisor) * self.divisor for side in (height, width)]
        if set(sizes) == {(up[0], up[1])}:
            return ImageList(normalize(torch.stack(list(images)), self.mean, self.std), sizes), targets
        batch = torch.zeros(len(images), 3, *up, device=images[0].device)
        for slot, image in zip(batch, images, strict=True):
            slot[:, : image.shape[-2], : image.shape[-1]] = normalize(image, self.mean, self.std)
        return ImageList(batch, sizes), targets

    def postprocess(self, result: Any, image_shapes: Any, original_image_sizes: Any) -> Any:
        """Boxes stay in the input's pixels; `coco_results` maps them to the file's."""
        return result


class FrozenNorm(nn.Module):
    """A BatchNorm layer (or timm's BatchNorm with activation) that stays in evaluation mode under `model.train()`."""

    def __init__(self, norm: nn.Module):
        super().__init__()
        self.norm = norm.requires_grad_(False)
        super().train(False)

    def train(self, mode: bool = True) -> "FrozenNorm":
        """Nothing: the statistics remain those of pretraining."""
        return self

    def forward(self, x: Tensor) -> Tensor:
        """The norm with its running statistics."""
        out: Tensor = self.norm(x)
        return out


def freeze(body: Trunk, parts: int, *, norms: bool) -> None:
    """Fix the first `parts` of stem, layer1, ..., layer4: their parameters, and the statistics of their norms.

    Args:
        body: changed in place.
        parts: 0 to 5.
        norms: freeze the norms of the other parts as well.
    """
    for i, part in enumerate((body.stem, body.layer1, body.layer2, body.layer3, body.layer4)):
        if i < parts:
            part.requires_grad_(False)
        if i < parts or norms:
            _freeze_norms(part)


def _freeze_norms(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            setattr(module, name, FrozenNorm(child))
        elif not isinstance(child, FrozenNorm):
            _freeze_norms(child)


def coco_results(
    boxes: Tensor, scores: Tensor, labels: Tensor, seen: tuple[int, int], id: str, size: tuple[int, int]
) -> list[dict[str, Any]]:
    """Detections of one image as entries of a COCO results list.

    Args:
        boxes: [D, 4] x0, y0, x1, y1 in the network's input. scores: [D]. labels: [D], 1-based.
        seen: width and height of the input without padding.
        id: the image's name. size: width and height of its file.

    Returns:
        image_id, category_id (0-based class), bbox (x, y, width, height in the file's pixels, to .01), score (to 1e-5).
    """
    scale = torch.tensor([size[0] / seen[0], size[1] / seen[1]]).repeat(2)
    limit = torch.tensor([float(size[0]), float(size[1])]).repeat(2)
    boxes = torch.minimum((boxes.float().cpu() * scale).clamp(min=0), limit)
    boxes = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    rows = zip(labels.tolist(), boxes.tolist(), scores.tolist(), strict=True)
    return [
        {"image_id": id, "category_id": label - 1, "bbox": [round(v, 2) for v in box], "score": round(score, 5)}
        for label, box, score in rows
    ]
