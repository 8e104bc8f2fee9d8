"""Classification: fine-tuning with a new head (CUB, the WSOL protocol), and a classifier's test as it is.

N images, K classes, C = 3 channels, H = W pixels. Errors are top-1 and top-5 in percent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.transforms import v2

from core.backbone import Backbone, Spec
from core.config import unhashed
from core.data.records import DataSet, ImageRecord, Need
from core.errors import UserError
from core.images import Pictures, normalize
from core.loader import Samples
from core.mixing import Mixing, Placed, mixed_targets
from core.resnet import STAGES, classifier, layer4_to_stride1, new_head
from core.stage import Metric, Outcome
from core.targets import soft_cross_entropy
from eval.classification import topk_error
from transfer.regularizers.base import Regularizer
from transfer.task import Task

KEPT = 5  # classes kept for each image: what top-5 error needs


class _Images:
    """Images at a fixed size, uint8 [3, H, W], with their labels. resize: done once where images are kept."""

    def __init__(self, records: Sequence[ImageRecord], resize: v2.Transform, rest: v2.Transform, *, keep: bool) -> None:
        self.labels = [record.label for record in records]
        self.pictures = Pictures([record.path for record in records], resize, keep=keep)
        self.rest = rest

    def __len__(self) -> int:
        return len(self.labels)

    def sample(self, index: int) -> tuple[Tensor, int]:
        return self.rest(self.pictures[index]), self.labels[index]


def _mixed(images: Tensor, placed: Sequence[Placed]) -> Tensor:
    """Normalised images after all that was placed at the input."""
    for one in placed:
        images = one.mixing.apply(images, one.draw)
    return images


class Classifier(nn.Module):
    """uint8 images [N, 3, H, W] -> logits [N, K]: the backbone behind its own normalisation."""

    def __init__(self, network: nn.Module, spec: Spec) -> None:
        super().__init__()
        self.network, self.spec = network.to(memory_format=torch.channels_last), spec

    def forward(self, images: Tensor, change: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Logits of uint8 images; `change` is applied to them once they are normalised."""
        normalised = normalize(images, self.spec.mean, self.spec.std)
        logits: Tensor = self.network(normalised if change is None else change(normalised))
        return logits


@dataclass(frozen=True)
class _Classification(Task):
    """Batches are (uint8 images [N, 3, H, W], labels [N])."""

    def predict(self, model: nn.Module, batch: Any) -> list[Any]:
        """(label, its best classes, best first) of each image."""
        images, labels = batch
        logits: Tensor = model(images)
        best = logits.topk(min(KEPT, logits.shape[1]), dim=1).indices
        return list(zip(labels.tolist(), best.tolist(), strict=True))

    def save(self, predictions: list[Any]) -> Any:
        """{"labels": [N], "topk": [N, 5]}."""
        return {"labels": [label for label, _ in predictions], "topk": [best for _, best in predictions]}

    def score(self, saved: Any, root: Path) -> Outcome:
        """top1_error and top5_error, in percent."""
        topk, labels = np.array(saved["topk"]), np.array(saved["labels"])
        ks = (1, min(KEPT, topk.shape[1]))
        return Outcome({f"top{k}_error": Metric(topk_error(topk, labels, k), "%", False) for k in ks})


@dataclass(frozen=True)
class ClassifierTest(_Classification):
    """A pretrained classifier on its own classes, as it is: ImageNet top-1 and top-5 error."""

    data: DataSet[ImageRecord]
    """The data set; its classes are the head's."""
    split: str = "val"
    """The split to test on."""
    resize: int = 256
    """The short side before the centre crop, in pixels."""
    crop: int = 224
    """Side of the centre crop, in pixels."""

    def needs(self) -> tuple[Need, ...]:
        """The test split."""
        return (Need(self.data, self.split),)

    def inapplicable(self, backbone: Backbone, root: Path) -> Outcome | None:
        """A backbone without a head, or with one of another number of classes, has no error on these classes."""
        classes = len(self.data.classes(root))
        if backbone.spec.num_classes == classes:
            return None
        reason = (
            f"head of {backbone.spec.num_classes} classes, the data has {classes}"
            if backbone.spec.num_classes
            else "no head"
        )
        return Outcome({f"top{k}_error": Metric(None, "%", False) for k in (1, KEPT)}, {"reason": reason})

    def model(self, backbone: Backbone, root: Path) -> nn.Module:
        """The backbone with its head."""
        return Classifier(backbone.model, backbone.spec)

    def test_data(self, root: Path) -> Samples:
        """Resize of the short side, centre crop."""
        resize = v2.Resize(self.resize, antialias=True)
        return _Images(self.data.records(root, self.split), resize, v2.CenterCrop(self.crop), keep=False)


@dataclass(frozen=True)
class FineTune(_Classification):
    """A classifier with a new head, trained whole: the CUB and ImageNet classifiers of the WSOL protocol.

    Images are squashed to `resize` x `resize`; a random crop and flip in training, the centre crop in the test (CutMix,
    section 4.2 and appendix B; the flip is not mentioned there, wsolevaluation has it). Methods of weakly supervised
    localization come in here: HaS and CutMix as `mixing`, ADL as `regularizer`.
    """

    data: DataSet[ImageRecord]
    """The data set."""
    train_split: str = "train"
    """The split to train on."""
    test_split: str = "test"
    """The split to test on."""
    resize: int = 256
    """Side that images are squashed to, in pixels."""
    crop: int = 224
    """Side of the crop, in pixels."""
    test_resize: int | None = None
    """Side that images of the test are squashed to, in pixels; None: `resize`. `crop`: they are seen whole."""
    mixing: Mixing | None = None
    """What happens to a training batch and its labels (a method of `pretrain/mixing/`); None: nothing."""
    regularizer: Regularizer | None = None
    """What happens inside the network in training (a method of `transfer/regularizers/`); None: nothing."""
    keep_head: bool = False
    """Start from the backbone's own classifier, where it has these classes, instead of a new one."""
    fast_stages: tuple[str, ...] = ()
    """Stages that learn at the head's rate, such as ("layer4",)."""
    layer4_stride1: bool = True
    """Let layer4 keep layer3's resolution."""
    body_lr_scale: float = 0.1
    """Learning rate of everything but the head and the `fast_stages`, as a share of the head's."""
    keep_images: bool = unhashed(False)
    """Keep the squashed images in memory: for small sets."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if unknown := set(self.fast_stages) - set(STAGES):
            raise UserError(f"fast_stages: no {', '.join(sorted(unknown))}; there are {', '.join(STAGES)}")
        if not 1 <= self.crop <= min(self.resize, self.test_resize or self.resize):
            sizes = f"crop {self.crop}, resize {self.resize}, test_resize {self.test_resize}"
            raise UserError(f"expected 1 <= crop <= resize and test_resize, got {sizes}")
        if self.mixing is not None and (layers := self.mixing.layers()):
            raise UserError(
                f"mixing: {type(self.mixing).__name__} mixes at {', '.join(layers)}; fine-tuning mixes its input alone "
                "(pretraining mixes at layers too)"
            )

    def needs(self) -> tuple[Need, ...]:
        """The training and the test split."""
        return Need(self.data, self.train_split), Need(self.data, self.test_split)

    def model(self, backbone: Backbone, root: Path) -> nn.Module:
        """The backbone with its head, its layer4 changed if it is to be, regularized if it is to be.

        Raises:
            UserError: the head is to be kept and is of another number of classes, or the regularizer names layers that
                are not there.
        """
        classes = len(self.data.classes(root))
        if self.layer4_stride1:
            layer4_to_stride1(backbone.model)
        if not self.keep_head:
            new_head(backbone.model, classes)
        elif backbone.spec.num_classes != classes:
            has = f"the backbone's has {backbone.spec.num_classes} classes, the data {classes}"
            raise UserError(f"keep_head: {has}; keep_head=False starts a new one")
        if self.regularizer is not None:
            self.regularizer.attach(backbone.model)
        return Classifier(backbone.model, backbone.spec)

    def parameters(self, model: nn.Module) -> list[dict[str, Any]]:
        """The head and the `fast_stages` at the recipe's learning rate, the rest at `body_lr_scale` of it."""
        assert isinstance(model, Classifier)
        parts = [classifier(model.network), *(model.network.get_submodule(stage) for stage in self.fast_stages)]
        fast = [parameter for part in parts for parameter in part.parameters()]
        names = {id(parameter) for parameter in fast}
        body = [parameter for parameter in model.parameters() if id(parameter) not in names]
        return [{"params": fast}, {"params": body, "lr_scale": self.body_lr_scale}]

    def train_data(self, root: Path) -> Samples:
        """Squashed, then a random crop and flip."""
        rest = v2.Compose([v2.RandomCrop(self.crop), v2.RandomHorizontalFlip()])
        return self._images(root, self.train_split, self.resize, rest)

    def test_data(self, root: Path) -> Samples:
        """Squashed, then the centre crop."""
        return self._images(root, self.test_split, self.test_resize or self.resize, v2.CenterCrop(self.crop))

    def _images(self, root: Path, split: str, side: int, rest: v2.Transform) -> Samples:
        squash = v2.Resize((side, side), antialias=True)
        return _Images(self.data.records(root, split), squash, rest, keep=self.keep_images)

    def loss(self, model: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy, of mixed labels where images are mixed; top1 is of the images' own labels."""
        images, labels = batch
        if self.mixing is None:
            logits = model(images)
            loss = functional.cross_entropy(logits, labels)
        else:
            placed = self.mixing.place(lambda _: images.shape, generator)
            logits = model(images, partial(_mixed, placed=placed))
            loss = soft_cross_entropy(logits, mixed_targets(labels, placed))
        return loss, {"top1": (logits.detach().argmax(1) == labels).float().mean()}

    def export(self, model: nn.Module, spec: Spec) -> tuple[nn.Module, Spec]:
        """The fine-tuned classifier, for localization."""
        assert isinstance(model, Classifier)
        stride1 = spec.layer4_stride1 or self.layer4_stride1
        classes = classifier(model.network).out_features
        return model.network, replace(spec, num_classes=classes, layer4_stride1=stride1, input_size=self.crop)
