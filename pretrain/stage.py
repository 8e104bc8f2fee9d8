"""Images and labels -> a backbone: what the config of a classifier's training holds. `pretrain.training` runs it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.backbone import IMAGENET_MEAN, IMAGENET_STD
from core.config import unhashed
from core.data.packed import Packed, Preparation
from core.data.records import DataSet, ImageRecord, Need
from core.errors import UserError
from core.mixing import Mixing
from core.recipe import Recipe
from core.stage import Stage
from pretrain.augmentation import Augmentation
from pretrain.samples import LowResolution


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
    label_smoothing: float = 0.0
    """Share of each target that is spread evenly over all classes (Szegedy et al., arXiv 1512.00567, sec. 7)."""
    architecture: str = "timm:resnet50"
    """The network: "timm:NAME", "torchvision:NAME", or a class of this repository."""
    kwargs: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments of the architecture."""
    training_kwargs: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments for the training alone (stochastic depth, DropBlock): they are not written into the backbone's
    header, so that a transfer gets the plain network. They must not change the network's tensors."""
    image_size: int = 224
    """Side of the network's input, in pixels."""
    resize: int = 256
    """Validation: the image's shorter side before the centre crop, in pixels."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Mean of the input's channels (RGB in 0..1); travels with the backbone."""
    std: tuple[float, float, float] = IMAGENET_STD
    """Standard deviation of the input's channels (RGB in 0..1); travels with the backbone."""
    low_resolution: LowResolution | None = None
    """Smaller images at the start of training (ours)."""
    validate_every: int = 1
    """Epochs between validations; the last epoch is always validated."""
    packed: Path | None = unhashed(None)
    """Folder of shards made by `python -m core.data.prepare`, to be read instead of the data set's own files."""
    preparation: Preparation | None = None
    """How the images of `packed` were made smaller; None: their pixels are the original ones. Shards that were made
    otherwise are refused, and so is a run without shards."""
    cache_images: bool = unhashed(False)
    """Decode every image once and keep it in memory as uint8."""
    save_logits: bool = unhashed(True)
    """Keep the last validation's logits beside predictions.json: logits.npy, float16 [N, K]."""

    def __post_init__(self) -> None:
        """Check the fields."""
        super().__post_init__()
        if self.validate_every < 1 or not 1 <= self.image_size <= self.resize:
            raise UserError(
                f"expected validate_every >= 1 and 1 <= image_size <= resize, got validate_every "
                f"{self.validate_every}, image_size {self.image_size}, resize {self.resize}"
            )
        if not 0.0 <= self.label_smoothing < 1.0:
            raise UserError(f"label_smoothing: expected a share in [0, 1), got {self.label_smoothing}")
        if not all(0.0 <= value <= 1.0 for value in self.mean):
            raise UserError(f"mean: expected means of RGB in 0..1, got {self.mean}{_eight_bits(self.mean)}")
        if not all(0.0 < value <= 1.0 for value in self.std):
            raise UserError(
                f"std: expected standard deviations of RGB in 0..1, above 0, got {self.std}{_eight_bits(self.std)}"
            )

    @property
    def source(self) -> DataSet[ImageRecord]:
        """Where the images are read: the data set's own files, or shards of them.

        UserError: a preparation without shards. It is said here, when a run begins, since a config may name the
        preparation and leave it to the command line where the shards are.
        """
        if self.preparation is not None and self.packed is None:
            raise UserError(
                "preparation: expected packed too (--packed FOLDER), the shards of images made smaller, short side "
                f"{self.preparation.short_side} and quality {self.preparation.quality}: python -m core.data.prepare "
                "makes them"
            )
        return self.data if self.packed is None else Packed(self.data, self.packed, self.preparation)

    def needs(self) -> tuple[Need, ...]:
        """Its data set's training and validation splits."""
        return (Need(self.source, "train"), Need(self.source, "val"))

    def images(self, count: Callable[[Need], int]) -> int:
        """Training images, plus the validation images of each validation."""
        train, val = (count(need) for need in self.needs())
        epochs = max(1, round(self.recipe.total_steps(train) / self.recipe.steps_per_epoch(train)))
        return self.recipe.images(train) + -(-epochs // self.validate_every) * val


def _eight_bits(values: tuple[float, ...]) -> str:
    """The remedy where the values are of pixels in 0..255."""
    if not (max(values) > 1.0 and min(values) >= 0.0):
        return ""
    return f"; those of pixels in 0..255 are {', '.join(f'{value / 255:.4g}' for value in values)} here"
