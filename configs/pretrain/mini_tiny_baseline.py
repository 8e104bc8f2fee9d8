"""Baseline row of the table `mini_tiny`: test_resnet on part of Tiny-ImageNet, 64 px, in minutes on one CPU core.

Source: ours; nothing here is the paper's. The first 60% of the training runs on images of 32 pixels.
Command: `python -m pretrain configs/pretrain/mini_tiny_baseline.py --data-root FOLDER`
Expected top-1 / top-5 error: about 88 / 68 on 20 images a class; chance is 99.5. So few images show that the way works,
not what a method is worth.
"""

from dataclasses import replace

from configs.pretrain.tiny_resnet18_baseline import config as full
from core.recipe import SGD, Cosine, Recipe
from pretrain.samples import LowResolution

config = replace(
    full,
    architecture="timm:test_resnet",
    recipe=Recipe(
        epochs=40,
        batch_size=64,
        optimizer=SGD(lr=0.2, momentum=0.9, weight_decay=1e-3, nesterov=True),
        schedule=Cosine(),
        warmup_steps=50,
    ),
    low_resolution=LowResolution(size=32, share=0.6),
    validate_every=10,
    cache_images=True,
    workers=0,
)
