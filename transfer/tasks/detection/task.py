"""What the detection tasks share: VOC as data, frozen parts, predictions as a COCO results list, VOC07's mAP.

A detector here is a torchvision model on the stages of any ResNet (`core.resnet.Trunk`). It takes uint8 images and
normalises them by the backbone's own mean and standard deviation; resizing is the samples' work (`data`).
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.backbone import Backbone
from core.config import unhashed
from core.data.records import Need, SceneSet
from core.data.voc import VOC
from core.errors import UserError
from core.recipe import Recipe
from core.resnet import Trunk, trunk
from core.slots import Memory
from core.stage import Outcome
from transfer.task import Task
from transfer.tasks.detection.data import Batch, Example, Scenes, Size, collate
from transfer.tasks.detection.freezing import NORMS, freeze, precise
from transfer.tasks.detection.normalizer import Normalizer
from transfer.tasks.detection.report import report
from transfer.tasks.detection.results import coco_results
from transfer.tasks.detection.scoring import Scoring, VocScoring
from transfer.tasks.detection.splits import check_splits
from transfer.weights import compare, loaded


@dataclass(frozen=True)
class Detection(Task):
    """Fields and code of every detection task."""

    data: SceneSet = field(default_factory=VOC)
    """Data set; its splits "train" and "test" are used."""
    scoring: Scoring = field(default_factory=VocScoring)
    """How the detections are scored; the first metric is the headline."""
    keep_difficult: bool = False
    """Whether objects marked difficult are learned from. They never count in the test, as in VOC's rules."""
    freeze_at: int = 2
    """How many parts of the backbone stay as they are, of stem, layer1, ..., layer4: 2 is stem and layer1; 0 none."""
    norms_frozen: bool = True
    """Whether the backbone's BatchNorms keep pretraining's statistics and scales (detectron2's FrozenBN). Those of
    frozen parts always do. False: trained, with the statistics of a process's images, or, with the recipe's
    `sync_batchnorm`, with those of the whole batch (SyncBN)."""
    precise_bn: int = 0
    """After training, the statistics of the trained norms are taken anew as means over so many training batches
    (detectron2's TEST.PRECISE_BN; Wu and Johnson, arXiv 2105.07576, section 3). 0: the running ones stay."""
    decay_biases: bool = True
    """Whether weight decay applies to the biases of convolutions and linear layers. jwyang's code: no."""
    decay_norms: bool = True
    """Whether it applies to the scales and shifts of trained norms. detectron2: no."""
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
        if self.precise_bn < 0:
            raise ValueError(f"precise_bn: expected a number of batches, 0 for none, got {self.precise_bn}")
        if self.detections < 1:
            raise ValueError(f"detections: expected at least 1, got {self.detections}")

    @abstractmethod
    def detector(self, body: Trunk, backbone: Backbone, classes: int) -> nn.Module:
        """The torchvision detector on the backbone's stages. classes: without the background."""

    @abstractmethod
    def input_size(self) -> Size:
        """The size at which images are shown to the network in the test."""

    @abstractmethod
    def sizes(self) -> str:
        """Image sizes in training and test, in words."""

    def divisor(self) -> int:
        """A batch's height and width are padded to a multiple of this (pixels)."""
        return 1

    def stages(self) -> int:
        """How many of layer1 to layer4 the detector reads, from the first."""
        return 4

    @abstractmethod
    def train_samples(self, records: Sequence[Any]) -> Scenes:
        """The training set with its augmentation."""

    def needs(self) -> tuple[Need, ...]:
        """Train and test split of the data set."""
        return Need(self.data, "train"), Need(self.data, "test")

    def check(self, root: Path) -> None:
        """Refuse splits that share images, that are missing, or of another year (`splits.check_splits`)."""
        check_splits(self.data, root)

    def check_network(self, network: nn.Module) -> None:
        """Refuse what is no ResNet (`core.resnet`)."""
        trunk(network)

    def model(self, backbone: Backbone, root: Path) -> nn.Module:
        """The detector, its backbone's first parts and norms frozen as the fields say.

        Raises:
            UserError: not a ResNet, one whose layer4 keeps layer3's resolution, one that was not loaded whole, or a
                detector that does not stand on the loaded weights.
        """
        if backbone.spec.layer4_stride1:
            raise UserError(
                f"{backbone.name}: {type(self).__name__} expects a backbone whose layer4 halves the map; this one's "
                "header has layer4_stride1=true, as fine-tuning for localization leaves it; take the one before that"
            )
        before = loaded(backbone, trunk(backbone.model), self.stages())
        detector = self.build(backbone, len(self.data.classes(root)))
        compare(detector, before, backbone.name)
        return detector

    def build(self, backbone: Backbone, classes: int) -> nn.Module:
        """The detector in channels-last memory. classes: without the background."""
        body = trunk(backbone.model)
        freeze(body, self.freeze_at, norms=self.norms_frozen)
        detector = self.detector(body, backbone, classes)
        detector.transform = Normalizer(backbone.spec.mean, backbone.spec.std, self.divisor())
        return detector.to(memory_format=torch.channels_last)

    def parameters(self, model: nn.Module) -> list[dict[str, Any]]:
        """What is trained, those parameters that weight decay spares as a group of their own."""
        spared = _spared(model, biases=not self.decay_biases, norms=not self.decay_norms)
        trained = [p for p in model.parameters() if p.requires_grad]
        free = [p for p in trained if id(p) in spared]
        groups: list[dict[str, Any]] = [{"params": [p for p in trained if id(p) not in spared]}]
        return [*groups, {"params": free, "weight_decay": 0.0}] if free else groups

    def report(
        self, model: nn.Module, backbone: Backbone, recipe: Recipe | None, ranks: int, samples: int
    ) -> dict[str, Any]:
        """Weights, pixels, norms, frozen parts, batch and sizes in force; see `report.report`."""
        return report(self, model, backbone, recipe, ranks)

    def calibration(self) -> int:
        """Batches for `calibrate`, where there are norms to calibrate."""
        return self.precise_bn

    def calibrate(self, model: nn.Module, batches: Iterator[Any]) -> None:
        """Take the trained norms' statistics anew (`precise_bn`)."""
        precise(model, (partial(self.loss, model, batch, torch.Generator()) for batch in batches))

    def train_data(self, root: Path) -> Scenes:
        """Augmented training images."""
        return self.train_samples(self.data.records(root, "train"))

    def test_data(self, root: Path) -> Scenes:
        """Test images, resized only."""
        return Scenes(self.data.records(root, "test"), self.input_size(), naming=self.data.naming(root))

    def collate(self, samples: list[Example], memory: Memory | None = None) -> Batch:
        """Examples as a batch, their pixels in this memory."""
        return collate(samples, memory)

    def loss(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of the detector's losses, and each of them; proposals are drawn from torch's global generator."""
        pairs = zip(batch.boxes, batch.labels, strict=True)
        parts: dict[str, Tensor] = model(batch.images, [{"boxes": boxes, "labels": labels} for boxes, labels in pairs])
        return torch.stack(list(parts.values())).sum(), {name: part.detach() for name, part in parts.items()}

    def predict(self, model: nn.Module, batch: Batch) -> list[Any]:
        """For each image its detections, as COCO results in the file's own pixels, best first."""
        found = model(batch.images)
        seen = [(image.shape[-1], image.shape[-2]) for image in batch.images]
        return [
            coco_results(one["boxes"], one["scores"], one["labels"], shown, id, size, batch.categories)
            for one, shown, id, size in zip(found, seen, batch.ids, batch.sizes, strict=True)
        ]

    def save(self, predictions: list[Any]) -> list[dict[str, Any]]:
        """One list of detections, in the order of the test images."""
        return [detection for image in predictions for detection in image]

    def score(self, saved: Any, root: Path) -> Outcome:
        """What `scoring` says of the saved results list."""
        return self.scoring(saved, self.data, root)


def _spared(model: nn.Module, *, biases: bool, norms: bool) -> set[int]:
    """Identities of a model's biases and of its norms' parameters, as asked."""
    found: set[int] = set()
    for module in model.modules():
        if isinstance(module, NORMS):
            found.update(id(p) for p in module.parameters(recurse=False) if norms)
        elif biases and isinstance(getattr(module, "bias", None), nn.Parameter):
            found.add(id(module.bias))
    return found
