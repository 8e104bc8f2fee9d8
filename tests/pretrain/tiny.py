"""A pretraining of seconds on a few noise images, for the tests of the stage."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from core.data.imagenet import ImageNet
from core.recipe import SGD, Recipe
from core.stage import Job
from pretrain.augmentation import RandomResizedCrop
from pretrain.mixing.cutmix import CutMix
from pretrain.sets import Sets
from pretrain.stage import Pretrain
from pretrain.training import Trainer
from tests.core.networks import TINY, job
from tests.data import layouts

CONFIG = """
from core.data.imagenet import ImageNet
from core.recipe import SGD, Recipe
from pretrain.augmentation import RandomResizedCrop
from pretrain.mixing.cutmix import CutMix
from pretrain.mixing.mixup import Mixup
from pretrain.mixing.none import NoMixing
from pretrain.stage import Pretrain
config = Pretrain(
    data=ImageNet(), augmentation=RandomResizedCrop(), mixing=CutMix(), architecture="timm:resnet18",
    kwargs={"layers": [1, 1, 1, 1], "channels": [8, 8, 16, 16], "stem_width": 8, "norm_layer": "layernorm2d"},
    recipe=Recipe(optimizer=SGD(lr=0.1), batch_size=4, epochs=2), image_size=32, resize=36, device="cpu",
)
"""
"""A config file's text; no batch statistics, so that several processes find what one does."""


def images(root: Path) -> Path:
    """6 classes of 2 training images and 1 validation image in ImageNet's layout."""
    classes = {f"n0000000{c}": 2 for c in range(6)}
    layouts.imagenet(root, {"train": classes, "val": dict.fromkeys(classes, 1)})
    return root


def config(**changes: Any) -> Pretrain:
    """CutMix on those images for 3 epochs of 3 steps."""
    values: dict[str, Any] = {
        "data": ImageNet(),
        "augmentation": RandomResizedCrop(),
        "mixing": CutMix(),
        "architecture": "timm:resnet18",
        "kwargs": TINY,
        "recipe": Recipe(optimizer=SGD(lr=0.1), batch_size=4, epochs=3),
        "image_size": 32,
        "resize": 36,
        "device": "cpu",
    }
    return Pretrain(**{**values, **changes})


def job_of(root: Path, config: Pretrain, name: str = "run") -> Job:
    """A job in the folder `name` below the data root."""
    return replace(job(root / name), root=root, config=config, row=name)


def trainer(root: Path, config: Pretrain, name: str = "run") -> Trainer:
    """A training that has not begun."""
    here = job_of(root, config, name)
    return Trainer(config, here, Sets.read(config, root))
