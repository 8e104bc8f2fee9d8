"""Baseline row of the table `quick`: test_resnet (.37 M parameters) on the synthetic world's ImageNet, 64 px.

Source: ours; nothing here is the paper's. A small network learns most per CPU-second with channels-last, a large
learning rate and a start on 32-pixel images, which cost a quarter: 20 epochs of 31 steps, about a minute on one core.
Command: `python -m pretrain configs/pretrain/quick_baseline.py`
Expected: see the table in README.
"""

from core.data.imagenet import ImageNet
from core.data.synthetic import World
from core.recipe import SGD, Cosine, Recipe
from pretrain.augmentation import RandomResizedCrop
from pretrain.mixing.none import NoMixing
from pretrain.samples import LowResolution
from pretrain.stage import Pretrain

config = Pretrain(
    world=World(),
    data=ImageNet(),
    architecture="timm:test_resnet",
    image_size=64,
    resize=64,  # the world's images are 64 x 64: validation sees them whole
    augmentation=RandomResizedCrop(min_area=0.25),
    mixing=NoMixing(),
    recipe=Recipe(
        epochs=20,
        batch_size=128,
        optimizer=SGD(lr=0.4, momentum=0.9, weight_decay=5e-4, nesterov=True),
        schedule=Cosine(),
        warmup_steps=30,
    ),
    low_resolution=LowResolution(size=32, share=0.6),
    validate_every=5,
    cache_images=True,
)
