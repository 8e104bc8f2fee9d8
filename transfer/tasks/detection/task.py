"""What the detection tasks share: VOC as data, frozen parts, predictions as a COCO results list, VOC07's mAP.

A detector here is a torchvision model on the stages of any ResNet (`core.resnet.Trunk`). It takes uint8 images and
normalises them by the backbone's own mean and standard deviation; resizing is the samples' work (`data`).
"""

import logging
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from core.backbone import Backbone
from core.config import unhashed
from core.data.records import DataSet, Need, SceneRecord
from core.data.voc import VOC
from core.errors import UserError
from core.resnet import Trunk, trunk
from core.stage import Outcome
from transfer.task import Task
from transfer.tasks.detection.data import Batch, Example, Scenes, Size, collate
from transfer.tasks.detection.freezing import FrozenNorm, freeze
from transfer.tasks.detection.normalizer import Normalizer
from transfer.tasks.detection.results import coco_results
from transfer.tasks.detection.scoring import Scoring, VocScoring

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Detection(Task):
    """Fields and code of every detection task."""

    divisor: ClassVar[int] = 1
    """Batches are padded to a multiple of this (pixels)."""

    data: DataSet[SceneRecord] = field(default_factory=VOC)
    """Data set; its splits "train" and "test" are used."""
    scoring: Scoring = field(default_factory=VocScoring)
    """How the detections are scored; the first metric is the headline."""
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
        """What `scoring` says of the saved results list."""
        return self.scoring(saved, self.data, root)
