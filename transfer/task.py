"""What a transfer task is: its data, model, loss, predictions and score. One file or folder in transfer/tasks/ each."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.backbone import Backbone, Spec
from core.data.records import Need
from core.errors import UserError
from core.loader import Samples
from core.loop import Loss
from core.recipe import Recipe
from core.stage import Job, Outcome


@dataclass(frozen=True)
class Task(ABC):
    """A task's parameters, their defaults, their checks and its code. B is the batch that `collate` makes."""

    @abstractmethod
    def needs(self) -> tuple[Need, ...]:
        """The splits that the task reads: the training split first, the test split last."""

    @abstractmethod
    def model(self, backbone: Backbone, root: Path) -> nn.Module:
        """The network to train or test; it may take over the backbone's modules.

        Raises:
            UserError: the backbone is not of the kind that the task can use.
        """

    @abstractmethod
    def test_data(self, root: Path) -> Samples:
        """What to predict on, in a fixed order."""

    @abstractmethod
    def predict(self, model: nn.Module, batch: Any) -> list[Any]:
        """JSON values, one for each sample of the batch."""

    @abstractmethod
    def score(self, saved: Any, root: Path) -> Outcome:
        """The metrics, by `eval`, of what `save` returned and predictions.json holds."""

    def check(self, root: Path) -> None:  # noqa: B027 - a default on purpose
        """Refuse data that this task must not be run on, before any work. Default: nothing is refused.

        Called once, before the backbone is loaded, and for saved predictions too; of several processes by the first.

        Raises:
            UserError: a split is missing, two splits share images, the classes are not those expected.
        """

    def check_network(self, network: nn.Module) -> None:  # noqa: B027 - a default on purpose
        """Refuse a network of a kind that `model` cannot use. Default: nothing is refused.

        Called with a library's network, of fresh weights, before its own are fetched; a backbone file meets `model`.

        Raises:
            UserError: it is of another kind.
        """

    def inapplicable(self, backbone: Backbone, root: Path) -> Outcome | None:
        """Metrics without values and the reason ("no head"), where this backbone cannot have this cell."""
        return None

    def parameters(self, model: nn.Module) -> list[dict[str, Any]]:
        """The optimizer's groups; "lr_scale" in one multiplies the learning rate. Default: all that are not frozen."""
        return [{"params": [p for p in model.parameters() if p.requires_grad]}]

    def some_unused(self) -> bool:
        """Whether some of `parameters` have no part in the loss of some steps; see `core.stage.Stage.some_unused`."""
        return False

    def train_data(self, root: Path) -> Samples | None:
        """What to train on; None for a task without training."""
        return None

    def prepared(self, samples: Samples, model: nn.Module, job: Job) -> Samples:
        """`samples`, with what need be computed of them once (features of a frozen encoder). Default: as they are.

        Called by every process for the training samples, before the report, and for the test's, after the training.
        What the run is to keep beside its predictions (a vocabulary) can be written here, by the first process.

        Args:
            samples: what `train_data` or `test_data` returned.
            model: on its device.
            job: the cell: its run folder, seed, device and precision (`fabric`).

        Raises:
            UserError: what is kept from before is not of these samples and this model, or cannot be written.
        """
        return samples

    def objective(self, recipe: Recipe, samples: int) -> Loss:
        """What the loop minimises. Default: `loss`. One that changes with the step is `core.loop.StepAware`."""
        return self.loss

    def report(
        self, model: nn.Module, backbone: Backbone, recipe: Recipe | None, ranks: int, samples: int
    ) -> dict[str, Any]:
        """What is about to be trained or tested, and a last refusal. Default: nothing is said.

        Called once before the first step, by every process with the same values. `result.json` has it under "report"
        (JSON values); the first process's log gets a line of each entry.

        Args:
            model: what `model` returned, on its device. Norms are not synchronised yet: the loop does that.
            backbone: what `model` was given; its network may be part of `model` by now.
            recipe: how it is trained; None for a task without training.
            ranks: processes that share each batch of the recipe.
            samples: training samples; 0 for a task without training.

        Raises:
            UserError: the model is not what the task's fields or the backbone's file say.
        """
        return {}

    def samples(self, images: int) -> int:
        """How many samples `train_data` makes of this many images, for a plan. Default: one of each."""
        return images

    def collate(self, samples: list[Any]) -> Any:
        """A list of samples as a batch. Default: torch's."""
        return torch.utils.data.default_collate(samples)

    def loss(self, model: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """A scalar to minimise, and numbers to log."""
        raise UserError(f"{type(self).__name__} is a task without training: its config has recipe=None")

    def calibration(self) -> int:
        """How many batches `calibrate` wants after the training. Default: 0, it is not called."""
        return 0

    def calibrate(self, model: nn.Module, batches: Iterator[Any]) -> None:  # noqa: B027 - a default on purpose
        """Estimate what is no parameter anew once training is over (precise BatchNorm), in place, without gradients.

        Called after the last step, before the backbone is handed on and the test. Of several processes each calls it
        with its share of every batch, and all get the first one's buffers after.

        Args:
            model: the trained network, in the mode that training left it in; calibrate leaves it in any.
            batches: `calibration` batches of the training data, of the recipe's batch size, on the model's device, from
                an epoch of their own. torch's generator is seeded before the first.
        """

    def save(self, predictions: list[Any]) -> Any:
        """What goes to predictions.json. Default: the list of predictions."""
        return predictions

    def export(self, model: nn.Module, spec: Spec) -> tuple[nn.Module, Spec] | None:
        """The backbone that this task hands on to the next step, and its header. Default: none."""
        return None
