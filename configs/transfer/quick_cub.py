"""Fine-tuning for the CUB localization columns of the table `quick`: the synthetic world's birds, 64 px.

Source: the protocol of `cub`, layer4 at stride 1 too, scaled to seconds: 12 epochs of 400 images.
Command: `python -m transfer configs/transfer/quick_cub.py --backbone RUN`
Expected: see the table in README.
"""

from core.data.cub import CUB
from core.data.synthetic import World
from core.recipe import SGD, Cosine, Recipe
from transfer.stage import Transfer
from transfer.tasks.classification import FineTune

task = FineTune(data=CUB(), resize=72, crop=64, body_lr_scale=0.5, keep_images=True)
config = Transfer(
    world=World(),
    task=task,
    recipe=Recipe(
        epochs=12,
        batch_size=32,
        optimizer=SGD(lr=0.1, weight_decay=1e-4),
        schedule=Cosine(),
        warmup_steps=10,
    ),
)
