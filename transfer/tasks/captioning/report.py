"""What a captioner is about to be trained with, in words, and the last check that it is what was asked for."""

from typing import Any, Protocol

from torch import nn

from core.backbone import Backbone
from core.recipe import Recipe
from transfer.facts import is_counter, pixels, size, untrained, use
from transfer.tasks.captioning.model import Captioner
from transfer.weights import PARTS


class Asked(Protocol):
    """What the report needs to know of a task: fields of `transfer.tasks.captioning.task.Captioning`."""

    @property
    def finetune_from(self) -> int | None:
        """The epoch from which the encoder is trained."""

    @property
    def freeze_at(self) -> int:
        """Parts of it that never are."""

    @property
    def encoder_lr_scale(self) -> float:
        """Factor of its learning rate."""

    def views(self) -> str:
        """How images are shown in training and test, in words."""


def report(task: Asked, model: Captioner, backbone: Backbone, recipe: Recipe | None, samples: int) -> dict[str, Any]:
    """Facts of a captioner before its first step, each as short JSON values.

    Args:
        task: what was asked for. model: what it built of `backbone`. The rest: see `transfer.task.Task.report`.

    Raises:
        UserError: a norm of the encoder without variance.
    """
    names = list(backbone.model.state_dict())
    used = sum(not is_counter(name) for name in model.encoder.state_dict())
    norms = {n: m for n, m in model.encoder.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
    fresh = untrained(norms, backbone.name)
    return {
        "backbone": use(names, used, "the head"),
        "pixels": pixels(backbone.spec),
        "encoder": _encoder(task, model, recipe, samples),
        "norms": f"{len(norms)} BatchNorms of the encoder keep their statistics" + (f"; {fresh}" if fresh else ""),
        "decoder": f"{type(model.decoder).__name__}, {size(model.decoder.parameters())}",
        "vocabulary": f"{len(model.vocabulary):,} ids",
        "images": task.views(),
        **model.facts,
    }


def _encoder(task: Asked, model: Captioner, recipe: Recipe | None, samples: int) -> str:
    """Whether and when the encoder is trained."""
    frozen, epoch = "frozen: its tensors stay as they are", task.finetune_from
    if epoch is None or recipe is None:
        return frozen
    epochs = recipe.total_steps(samples) / recipe.steps_per_epoch(samples)
    if epoch >= epochs:
        return f"{frozen} (finetune_from={epoch}, and there are {epochs:g} epochs)"
    learned = size(p for p in model.encoder.parameters() if p.requires_grad)
    when = f"frozen for {epoch} epochs, then trained" if epoch else "trained"
    fixed = f"; {', '.join(PARTS[: task.freeze_at])} stay as they are" if task.freeze_at else ""
    return f"{when} at {task.encoder_lr_scale:g} x the learning rate: {learned}{fixed}"
