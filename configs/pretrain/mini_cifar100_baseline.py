"""Baseline row of the table `mini_cifar100`: a small network on part of CIFAR-100, in minutes on one CPU core.

Source: ours; nothing here is the paper's but the augmentation and the normalisation.
Command: `python -m pretrain configs/pretrain/mini_cifar100_baseline.py --data-root FOLDER`
Expected top-1 / top-5 error: about 75 / 50 on 30 images a class, after some 4 minutes; chance is 99. So few images show
that the way works, not what a method is worth.
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as full
from core.recipe import SGD, Cosine, Recipe

config = replace(
    full,
    architecture="core.networks.resnet_cifar:ResNetCIFAR",
    kwargs={"depth": 14, "bottleneck": False},
    recipe=Recipe(
        epochs=40,
        batch_size=64,
        optimizer=SGD(lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True),
        schedule=Cosine(),
        warmup_steps=50,
    ),
    validate_every=10,
    cache_images=True,
    workers=0,
)
