"""One pretraining: data and network from a config, the loop, validation, what is saved.

`batch -> mixing -> network -> soft-target loss -> step`; nothing here names a method. The last epoch's validation error
is the result (a test set must not choose the epoch); the best one and its epoch, which the paper reports, stand beside.
N validation images, K classes.
"""

import dataclasses
import json
import logging
from typing import Any

import torch
from torch import Tensor, nn

from core import atomic, backbone
from core.errors import UserError
from core.images import normalize
from core.loop import Fitted, fit, predict
from core.seeding import derive
from core.stage import Job, Metric, Outcome
from eval.classification import topk_error
from pretrain.objective import Objective
from pretrain.samples import TrainSamples, ValSamples, collate
from pretrain.stage import Pretrain

_log = logging.getLogger(__name__)
_RANKED = 5  # classes kept of each validation image
_PREDICTIONS, _LOGITS = "predictions.json", "logits.npy"


def execute(config: Pretrain, job: Job) -> Outcome:
    """Train, validate, save backbone.safetensors, predictions.json and logits.npy."""
    if job.backbone is not None:
        raise UserError("pretrain starts from random weights and takes no --backbone")
    trainer = Trainer(config, job)
    fitted = trainer.train()
    trainer.save()
    return summarize(config, fitted, trainer.predictions(), trainer.model)


class Trainer:
    """One pretraining under way."""

    def __init__(self, config: Pretrain, job: Job) -> None:
        """config: what to train. job: where, and on what device.

        Raises:
            UserError: too few images for a batch, or training_kwargs that change the network's tensors.
        """
        self.config, self.job = config, job
        classes = len(config.data.classes(job.root))
        train = config.data.records(job.root, "train")
        self.val_records = config.data.records(job.root, "val")
        _refuse_too_few(config, len(train))
        keep = config.cache_images
        self.steps_per_epoch = config.recipe.steps_per_epoch(len(train))
        self.epochs = config.recipe.total_steps(len(train)) / self.steps_per_epoch
        self.train_samples = TrainSamples(
            train, config.augmentation, config.image_size, keep=keep, low=config.low_resolution, epochs=self.epochs
        )
        self.val_samples = ValSamples(self.val_records, config.resize, config.image_size, keep=keep)
        self.spec = backbone.Spec(
            config.architecture, classes, config.image_size, dict(config.kwargs), config.mean, config.std,
            source=f"pretrain, row {job.row}",
        )  # fmt: skip
        self.objective = Objective(config.mixing, self.spec)
        self.model = network(config, self.spec)

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


def network(config: Pretrain, spec: backbone.Spec) -> nn.Module:
    """The network to train, with the weights that the seed gives; channels-last.

    `training_kwargs` are for the training alone, so the plain network of the header must have the same tensors: told
    now, not after the last epoch.
    """
    torch.manual_seed(derive(config.seed, "weights"))
    model = backbone.build(_with(spec, config.training_kwargs))
    if config.training_kwargs:
        with torch.random.fork_rng(devices=[]):
            plain = backbone.build(spec)
        own, bare = ({n: t.shape for n, t in m.state_dict().items()} for m in (model, plain))
        if own != bare:
            changed = sorted(name for name in {*own, *bare} if own.get(name) != bare.get(name))
            raise UserError(
                f"training_kwargs {config.training_kwargs}: expected the tensors of {spec.architecture} with "
                f"{spec.kwargs}; {len(changed)} differ ({', '.join(changed[:3])}). Put these into kwargs"
            )
    return model.to(memory_format=torch.channels_last)


def _with(spec: backbone.Spec, kwargs: dict[str, Any]) -> backbone.Spec:
    return dataclasses.replace(spec, kwargs={**spec.kwargs, **kwargs})


def _refuse_too_few(config: Pretrain, images: int) -> None:
    recipe = config.recipe
    if recipe.drop_last and images < recipe.batch_size:
        raise UserError(
            f"{config.data.name}, split 'train': {images} images, expected at least one whole batch of "
            f"{recipe.batch_size}; --recipe.batch-size {images} or less, or --recipe.drop-last False"
        )


def summarize(config: Pretrain, fitted: Fitted, predictions: dict[str, Any], model: nn.Module) -> Outcome:
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
