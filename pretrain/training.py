"""One pretraining: a network from a config, the loop, validation, what is saved.

`batch -> mixing -> network -> soft-target loss -> step`; nothing here names a method. The last epoch's validation error
is the result (a test set must not choose the epoch); the best one and its epoch, which the paper reports, stand beside.
"""

import dataclasses
from typing import Any

import torch
from torch import nn

from core import backbone, peers
from core.errors import UserError
from core.loop import Fitted, Row, fit_together
from core.seeding import derive
from core.stage import Job, Metric, Outcome
from eval.classification import topk_error
from pretrain.objective import Objective
from pretrain.samples import collate
from pretrain.sets import Sets
from pretrain.stage import Pretrain
from pretrain.validation import RANKED, Validation


def execute(config: Pretrain, job: Job) -> Outcome:
    """Train, validate, save backbone.safetensors, predictions.json and logits.npy.

    In a job of several processes each calls it; the first alone writes, and alone says what was found.

    Raises:
        UserError: a backbone is given, the data is missing, or the recipe or the network does not fit.
    """
    if job.backbone is not None:
        raise UserError("pretrain starts from random weights and takes no --backbone")
    trainer = Trainer(config, job, Sets.read(config, job.root, job.fabric.world_size))
    return trainer.finish(trainer.train())


class EpochObjective(Objective):
    """The objective, with its epochs' means as metrics.jsonl holds them."""

    def epoch_numbers(self, means: dict[str, float]) -> dict[str, float]:
        """The mean loss in nats and the top-1 error in percent, of an epoch's training as it was mixed.

        The error is against the images' own labels: of mixed images it is no measure of what was learnt.
        """
        return {"train_loss": means["loss"], "train_top1_error": 100.0 * (1.0 - means["top1"])}


class Trainer:
    """One pretraining under way."""

    def __init__(self, config: Pretrain, job: Job, sets: Sets) -> None:
        """config: what to train. job: where, and on what device. sets: its images.

        Raises:
            UserError: there is no such architecture, or training_kwargs change the network's tensors.
        """
        self.config, self.job, self.sets = config, job, sets
        _tune(job.fabric.device)
        self.spec = backbone.Spec(
            config.architecture, sets.classes, config.image_size, dict(config.kwargs), config.mean, config.std,
            source=f"pretrain, row {job.row}",
        )  # fmt: skip
        self.objective = EpochObjective(config.mixing, self.spec, config.label_smoothing, peers.of(job.fabric))
        self.validation = Validation(config, job, sets, self.spec)
        self.model = network(config, self.spec)

    @property
    def row(self) -> Row:
        """This training for the loop."""
        groups = [{"params": list(self.model.parameters())}]
        return Row(self.job, self.model, self.objective, self.config.recipe, groups, self.after_epoch)

    def train(self) -> Fitted:
        """Fit; each epoch's validation goes into the history."""
        [fitted] = fit_together([self.row], samples=self.sets.train, collate=collate)
        return fitted

    def after_epoch(self, epoch: int, model: nn.Module) -> dict[str, float]:
        """Validate where it is due; `epoch` counts from 1."""
        last = epoch >= self.sets.epochs
        if epoch % self.config.validate_every and not last:
            return {}
        return self.validation(model, epoch, last=last)

    def finish(self, fitted: Fitted) -> Outcome:
        """Write the backbone, and say what was found."""
        if not self.job.fabric.is_global_zero:
            return Outcome({})
        backbone.save(self.job.run.path("backbone.safetensors"), self.model, self.spec)
        return summarize(self.config, fitted, self.validation.saved(), self.model)


def _tune(device: torch.device) -> None:
    """Let cuDNN try its algorithms once for each shape of a batch, of which there are few: docs/training.md."""
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True


def network(config: Pretrain, spec: backbone.Spec) -> nn.Module:
    """The network to train, with the weights that the seed gives; channels-last.

    UserError: the network without `training_kwargs` is another one, which is told now and not after the last epoch.
    """
    torch.manual_seed(derive(config.seed, "weights"))
    model = backbone.build(dataclasses.replace(spec, kwargs={**spec.kwargs, **config.training_kwargs}))
    if config.training_kwargs:
        with torch.random.fork_rng(devices=[]):
            _refuse_what_does_not_travel(config, spec, model)
    return model.to(memory_format=torch.channels_last)


@torch.no_grad()
def _refuse_what_does_not_travel(config: Pretrain, spec: backbone.Spec, model: nn.Module) -> None:
    """The header's plain network must have the tensors of the trained one, and say the same of an image in a test."""
    plain = backbone.build(spec)
    told = f"training_kwargs {config.training_kwargs}: expected the"
    own, bare = ({name: x.shape for name, x in net.state_dict().items()} for net in (model, plain))
    if changed := sorted(name for name in {*own, *bare} if own.get(name) != bare.get(name)):
        raise UserError(
            f"{told} tensors of {spec.architecture} with {spec.kwargs}; {len(changed)} differ "
            f"({', '.join(changed[:3])}). Put these arguments into kwargs"
        )
    plain.load_state_dict(model.state_dict())
    image = torch.randn(1, 3, config.image_size, config.image_size)
    if not torch.allclose(model.eval()(image), plain.eval()(image), rtol=1e-3, atol=1e-5, equal_nan=True):
        raise UserError(
            f"{told} logits of {spec.architecture} with {spec.kwargs} in a test, since that is what a transfer gets; "
            "they differ. Put these arguments into kwargs"
        )
    model.train()


def summarize(config: Pretrain, fitted: Fitted, predictions: dict[str, Any], model: nn.Module) -> Outcome:
    """The last epoch's errors as the result, the best validation's beside them."""
    topk, labels = predictions["topk"], predictions["labels"]
    top1 = topk_error(topk, labels, 1)
    top5 = topk_error(topk, labels, RANKED) if len(topk[0]) >= RANKED else None
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
