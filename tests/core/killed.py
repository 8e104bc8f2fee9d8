"""Trainings that are slow enough to be killed in their midst, for a process of their own."""

import time
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path

import torch
from torch import Tensor, nn

from core import loop
from core.recipe import AdamW, Cosine, Recipe
from tests.core.networks import RECIPE, Points, job, network, squared

RECIPES: dict[str, Recipe] = {
    "plain": replace(RECIPE, epochs=10),
    "micro-batches, averaged, clipped, a short last batch": Recipe(
        optimizer=AdamW(lr=0.01), batch_size=6, steps=57, schedule=Cosine(), warmup_steps=10, clip_norm=1.0,
        drop_last=False, accumulate=3, ema_decay=0.9,
    ),
}  # fmt: skip


def train(
    folder: Path, recipe: Recipe, seconds: float = 0.0, checkpoint_every: float = 100.0, began: Event | None = None
) -> loop.Fitted:
    """Train, `seconds` slower a step, and write the weights at the end; `began` is set at the first step."""
    torch.set_num_threads(1)
    model = network()

    def slow(model: nn.Module, batch: object, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        if began is not None:
            began.set()
        time.sleep(seconds / recipe.accumulate)
        return squared(model, batch, generator)

    fitted = loop.fit(
        job(folder, checkpoint_every=checkpoint_every),
        model,
        samples=Points(),
        collate=torch.utils.data.default_collate,
        loss=slow,
        recipe=recipe,
        parameters=[{"params": list(model.parameters())}],
        after_epoch=lambda epoch, _: {"score": float(epoch)},
    )
    torch.save(model.state_dict(), folder / "weights.pt")
    return fitted
