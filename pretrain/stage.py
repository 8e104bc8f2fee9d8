"""Images and labels -> a backbone: train a classifier with an image-mixing method.

`batch -> mixing -> network -> soft-target loss -> step`; nothing here names a method. The last epoch's validation error
is the result (a test set must not choose the epoch); the best one and its epoch, which the paper reports, stand beside.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from core import atomic, backbone
from core.config import unhashed
from core.data.records import DataSet, ImageRecord, Need
from core.errors import UserError
from core.images import normalize
from core.loop import Fitted, fit, predict
from core.mixing import Mixing
from core.recipe import Recipe
from core.seeding import derive
from core.stage import Job, Metric, Outcome, Stage
from eval.classification import topk_error
from pretrain.augmentation import Augmentation
from pretrain.objective import Objective
from pretrain.samples import LowResolution, TrainSamples, ValSamples, collate

_log = logging.getLogger(__name__)
_RANKED = 5  # classes kept of each validation image
_PREDICTIONS = "predictions.json"


@dataclass(frozen=True, kw_only=True)
class Pretrain(Stage):
    """A classifier's training."""

    data: DataSet[ImageRecord]
    """The data set; its splits "train" and "val" are read."""
    augmentation: Augmentation
    """What happens to a training image."""
    mixing: Mixing
    """What happens to a batch and its labels."""
    recipe: Recipe
    """Length, batch size, optimizer, schedule."""
    architecture: str = "timm:resnet50"
    """The network: "timm:NAME", "torchvision:NAME", or a class of this repository."""
    kwargs: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the architecture."""
    image_size: int = 224
    """Side of the network's input, in pixels."""
    resize: int = 256
    """Validation: the image's shorter side before the centre crop, in pixels."""
    low_resolution: LowResolution | None = None
    """Smaller images at the start of training (ours)."""
    validate_every: int = 1
    """Epochs between validations; the last epoch is always validated."""
    cache_images: bool = unhashed(False)
    """Decode every image once and keep it in memory as uint8."""

    def __post_init__(self) -> None:
        """Check the fields."""
        if self.validate_every < 1 or not 1 <= self.image_size <= self.resize:
            raise UserError(
                f"expected validate_every >= 1 and 1 <= image_size <= resize, got validate_every "
                f"{self.validate_every}, image_size {self.image_size}, resize {self.resize}"
            )

    def needs(self) -> tuple[Need, ...]:
        """Its data set's training and validation splits."""
        return (Need(self.data, "train"), Need(self.data, "val"))

    def images(self, count: Callable[[Need], int]) -> int:
        """Training images, plus the validation images of each validation."""
        train, val = (count(need) for need in self.needs())
        epochs = max(1, round(self.recipe.total_steps(train) / self.recipe.steps_per_epoch(train)))
        return self.recipe.images(train) + -(-epochs // self.validate_every) * val


def execute(config: Pretrain, job: Job) -> Outcome:
    """Train, validate, save backbone.safetensors and predictions.json."""
    if job.backbone is not None:
        raise UserError("pretrain starts from random weights and takes no --backbone")
    trainer = _Trainer(config, job)
    fitted = trainer.train()
    trainer.save()
    return _outcome(config, fitted, trainer.predictions(), trainer.model)


class _Trainer:
    """One pretraining under way."""

    def __init__(self, config: Pretrain, job: Job) -> None:
        self.config, self.job = config, job
        classes = len(config.data.classes(job.root))
        train = config.data.records(job.root, "train")
        self.val_records = config.data.records(job.root, "val")
        keep = config.cache_images
        self.steps_per_epoch = config.recipe.steps_per_epoch(len(train))
        self.epochs = config.recipe.total_steps(len(train)) / self.steps_per_epoch
        self.train_samples = TrainSamples(
            train, config.augmentation, config.image_size, keep=keep, low=config.low_resolution, epochs=self.epochs
        )
        self.val_samples = ValSamples(self.val_records, config.resize, config.image_size, keep=keep)
        self.spec = backbone.Spec(
            config.architecture, classes, config.image_size, dict(config.kwargs), source=f"pretrain, row {job.row}"
        )
        self.objective = Objective(config.mixing, self.spec)
        torch.manual_seed(derive(config.seed, "weights"))
        self.model = backbone.build(self.spec).to(memory_format=torch.channels_last)

    def train(self) -> Fitted:
        """Fit; each epoch's validation goes into the history."""
        return fit(
            self.job,
            self.model,
            samples=self.train_samples,
            collate=collate,
            loss=self.objective,
            recipe=self.config.recipe,
            parameters=[{"params": list(self.model.parameters())}],
            after_epoch=self.after_epoch,
        )

    def after_epoch(self, epoch: int, model: nn.Module) -> dict[str, float]:
        """Validate where it is due; `epoch` counts from 1. The last epoch's ranks become predictions.json."""
        last = epoch >= self.epochs
        if epoch % self.config.validate_every and not last:
            return {}
        topk = self.rank(model)
        labels = [record.label for record in self.val_records]
        if last:
            ids = [record.id for record in self.val_records]
            atomic.write_json(self.job.run.path(_PREDICTIONS), {"ids": ids, "labels": labels, "topk": topk})
        errors = {f"top{k}_error": topk_error(topk, labels, k) for k in (1, min(_RANKED, len(topk[0])))}
        _log.info("epoch %d: %s", epoch, ", ".join(f"{name} {value:.2f} %" for name, value in errors.items()))
        return errors

    def rank(self, model: nn.Module) -> list[list[int]]:
        """The most probable classes of each validation image, best first."""

        def step(network: nn.Module, batch: tuple[Tensor, Tensor]) -> list[list[int]]:
            with self.job.fabric.autocast():
                logits: Tensor = network(normalize(batch[0], self.spec.mean, self.spec.std))
            return logits.topk(min(_RANKED, logits.shape[1])).indices.tolist()

        return predict(
            self.job, model, samples=self.val_samples, collate=collate, batch_size=self.config.recipe.batch_size,
            step=step, phase="validate",
        )  # fmt: skip

    def save(self) -> None:
        """Write the backbone."""
        backbone.save(self.job.run.path("backbone.safetensors"), self.model, self.spec)

    def predictions(self) -> dict[str, Any]:
        """The final weights' ranks, as the last epoch's validation saved them, in this process or a killed one."""
        values = json.loads(self.job.run.path(_PREDICTIONS).read_text())
        assert isinstance(values, dict)
        return values


def _outcome(config: Pretrain, fitted: Fitted, predictions: dict[str, Any], model: nn.Module) -> Outcome:
    """The last epoch's errors as the result, the best validation's beside them."""
    topk, labels = predictions["topk"], predictions["labels"]
    top1 = topk_error(topk, labels, 1)
    top5 = topk_error(topk, labels, _RANKED) if len(topk[0]) >= _RANKED else None
    last = {"epoch": len(fitted.history), "top1_error": top1}
    validated = [entry for entry in fitted.history if "top1_error" in entry]
    best = min([*validated, last], key=lambda entry: entry["top1_error"])
    return Outcome(
        {"top1_error": Metric(top1, "%", False), "top5_error": Metric(top5, "%", False)},
        {
            "best_top1_error": best["top1_error"],
            "best_epoch": int(best["epoch"]),
            "steps": fitted.steps,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "architecture": config.architecture,
        },
    )
