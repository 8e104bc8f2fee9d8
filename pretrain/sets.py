"""The images of a pretraining: what it trains and validates on, read once for all rows that share them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.data.records import ImageRecord
from pretrain.samples import TrainSamples, ValSamples
from pretrain.stage import Pretrain


@dataclass(frozen=True)
class Sets:
    """A config's training and validation images, ready to be sampled."""

    classes: int
    """K, the number of classes."""
    epochs: float
    """Length of the training in passes over the training images."""
    train: TrainSamples
    """Random views of the training images."""
    records: Sequence[ImageRecord]
    """The validation images."""
    val: ValSamples
    """The central crops of the validation images."""

    @classmethod
    def read(cls, config: Pretrain, root: Path, ranks: int = 1) -> "Sets":
        """The sets of a config below the data root.

        Args:
            config: says which, and how they are sampled.
            root: the data root.
            ranks: how many processes share a batch.

        Raises:
            UserError: a split is missing or malformed, or the recipe does not fit its number of images.
        """
        source, keep = config.source, config.cache_images
        records, val = source.records(root, "train"), source.records(root, "val")
        config.recipe.check(len(records), ranks)
        epochs = config.recipe.total_steps(len(records)) / config.recipe.steps_per_epoch(len(records))
        train = TrainSamples(
            records, config.augmentation, config.image_size, keep=keep, low=config.low_resolution, epochs=epochs
        )
        return cls(
            len(source.classes(root)), epochs, train, val, ValSamples(val, config.resize, config.image_size, keep=keep)
        )
