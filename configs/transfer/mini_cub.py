"""Fine-tuning for the CUB localization columns of the table `real_mini`: 10 classes of CUB-200-2011, 112 px.

Source: the protocol of `cub`, scaled to a minute: squash 128 and crop 112 for 256 and 224, as many epochs as a minute
has room for.
Command: `python -m transfer configs/transfer/mini_cub.py --backbone RUN --data-root FOLDER`
Expected: docs/real_mini.md.
"""

from core.data.cub import CUB
from core.recipe import SGD, Cosine, Recipe
from transfer.stage import Transfer
from transfer.tasks.classification import FineTune

task = FineTune(data=CUB(), resize=128, crop=112, body_lr_scale=0.5, keep_images=True)
config = Transfer(
    task=task,
    recipe=Recipe(
        epochs=40,
        batch_size=32,
        optimizer=SGD(lr=0.05, weight_decay=1e-4),
        schedule=Cosine(),
        warmup_steps=20,
    ),
)
