"""A training in a process of its own, to be killed by the test: `python -m tests.core.killed FOLDER`."""

import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from core import loop
from tests.core.networks import RECIPE, Points, job, network, squared


def main(folder: Path) -> None:
    """Train with a checkpoint every few steps, slowly enough to be killed; write the weights at the end."""
    model = network()

    def slow(model: nn.Module, batch: object, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        time.sleep(0.004)
        return squared(model, batch, generator)

    loop.fit(
        job(folder, checkpoint_every=0.02),
        model,
        samples=Points(),
        collate=torch.utils.data.default_collate,
        loss=slow,
        recipe=RECIPE,
        parameters=[{"params": list(model.parameters())}],
        after_epoch=lambda epoch, _: {"score": float(epoch)},
    )
    torch.save(model.state_dict(), folder / "weights.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
