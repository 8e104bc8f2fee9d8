"""Several rows side by side: one stream of decoded crops, one training step for each row and batch.

Reading and decoding are most of a small network's cost, and all rows see the same crops in the same order, so that
they are compared in pairs. Each row ends with the bits that it would have alone: weights, mixing and the order of
images depend on (seed, epoch, index, step), not on who else is there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from core.config import differences, plain
from core.errors import UserError
from core.loop import fit_together
from core.stage import Job, Outcome
from pretrain.samples import collate
from pretrain.sets import Sets
from pretrain.stage import Pretrain
from pretrain.training import Trainer

STREAM = (
    "seed", "data", "world", "data_root", "packed", "preparation", "cache_images", "augmentation", "image_size",
    "resize", "low_resolution", "device", "workers",
)  # fmt: skip
"""The fields that say which images come, in which order and how they look."""
STREAM_OF_RECIPE = ("batch_size", "accumulate", "drop_last", "epochs", "steps")
"""Those of the recipe."""


def check(configs: Mapping[str, Pretrain]) -> None:
    """Refuse configs, by name, that cannot share a stream of batches.

    Raises:
        UserError: two differ in what the stream depends on; every difference is named.
    """
    (first, one), *others = configs.items()
    for name, other in others:
        if found := differences(_stream(one), _stream(other)):
            said = (line.replace(" there, ", f" in {first}, ").removesuffix(" here") for line in found)
            lines = "\n".join(f"  {line} in {name}" for line in said)
            raise UserError(
                f"{first} and {name} cannot be trained side by side: expected the same images, epochs and batches, "
                f"they differ in\n{lines}\nTrain them one after the other, or override the field for all"
            )


def execute_together(cells: Sequence[tuple[Pretrain, Job]]) -> list[Outcome | UserError]:
    """What `pretrain.training.execute` does, for several rows from one stream; a row that fails stops alone.

    Returns:
        For each row what it found, or why it stopped.

    Raises:
        UserError: a backbone is given, the data is missing, or a recipe or a network does not fit.
    """
    if any(job.backbone is not None for _, job in cells):
        raise UserError("pretrain starts from random weights and takes no --backbone")
    config, job = cells[0]
    sets = Sets.read(config, job.root)
    trainers = [Trainer(config, job, sets) for config, job in cells]
    fitted = fit_together([trainer.row for trainer in trainers], samples=sets.train, collate=collate)
    return [
        trainer.finish(end) if end.error is None else end.error for trainer, end in zip(trainers, fitted, strict=True)
    ]


def _stream(config: Pretrain) -> dict[str, Any]:
    values = {name: plain(getattr(config, name)) for name in STREAM}
    return {**values, "recipe": {name: plain(getattr(config.recipe, name)) for name in STREAM_OF_RECIPE}}
