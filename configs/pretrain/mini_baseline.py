"""Baseline row of the table `real_mini`: test_resnet on 10 real ImageNet classes (600 training images), 112 px.

Source: ours; nothing here is the paper's. 140 epochs of 9 steps, the first 60% at 64 px: about 200 CPU-seconds.
Command: `python -m pretrain configs/pretrain/mini_baseline.py --data-root FOLDER`
Expected: docs/real_mini.md; chance is 90%. So few images show that the way works, not what a method is worth.
"""

from core.data.imagenet import ImageNet
from core.recipe import SGD, Cosine, Recipe
from pretrain.augmentation import RandomResizedCrop
from pretrain.mixing.none import NoMixing
from pretrain.samples import LowResolution
from pretrain.stage import Pretrain

config = Pretrain(
    data=ImageNet(),
    architecture="timm:test_resnet",
    image_size=112,
    resize=128,  # the paper's 224 of 256, halved
    augmentation=RandomResizedCrop(min_area=0.25),
    mixing=NoMixing(),
    recipe=Recipe(
        epochs=140,
        batch_size=64,
        optimizer=SGD(lr=0.2, momentum=0.9, weight_decay=1e-3, nesterov=True),
        schedule=Cosine(),
        warmup_steps=20,
    ),
    low_resolution=LowResolution(size=64, share=0.6),
    validate_every=10,
    cache_images=True,
)
