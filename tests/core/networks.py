"""Small networks and jobs for tests."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from core.backbone import Spec
from core.data.records import Need
from core.recipe import SGD, Recipe
from core.run import open_run
from core.stage import Job, Stage

TINY = {"layers": [1, 1, 1, 1], "channels": [8, 8, 16, 16], "stem_width": 8}
TINY_SPEC = Spec("timm:resnet18", num_classes=3, input_size=32, kwargs=TINY)


@dataclass(frozen=True, kw_only=True)
class Nothing(Stage):
    """A stage that reads no data."""

    def needs(self) -> tuple[Need, ...]:
        return ()

    def images(self, count: Callable[[Need], int]) -> int:
        return 0


def job(folder: Path, fabric: Fabric | None = None, **config: Any) -> Job:
    """A job on the CPU in a folder."""
    run = open_run(folder, {"digest": "test"})
    return Job(run, folder, Nothing(**config), None, fabric or Fabric(accelerator="cpu", devices=1), "row")


class Points:
    """32 random points and what a linear map makes of them; each sample gets noise from torch's global generator."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(32, 4, generator=generator)
        self.y = self.x @ torch.randn(4, 1, generator=generator)

    def __len__(self) -> int:
        return len(self.x)

    def sample(self, index: int) -> tuple[Tensor, Tensor]:
        return self.x[index] + 0.1 * torch.randn(4), self.y[index]


def network() -> nn.Module:
    """Batch statistics, dropout and two layers: everything that a resume can get wrong."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 1))


def squared(model: nn.Module, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean squared error, with noise from the step's generator."""
    x, y = batch
    loss = ((model(x) - y) ** 2).mean() * (1 + 0.1 * torch.rand((), generator=generator))
    return loss, {"error": loss.detach()}


RECIPE = Recipe(optimizer=SGD(lr=0.05), batch_size=5, epochs=20)
