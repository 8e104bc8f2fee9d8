"""Fine-tuning on CUB-200-2011 for localization, by the paper's protocol.

Source: CutMix, section 4.2 and appendix B: 600 epochs, batch 32, learning rate .01 for the new last layer and .001 for
the rest, divided by 10 every 150 epochs, momentum .9, weight decay 1e-4; squashed to 256, random crop of 224; layer4 at
stride 1. 5,994 images / 32 = 187 steps an epoch, 112,200 in all.
Command: `python -m transfer configs/transfer/cub.py --backbone RUN --data-root FOLDER`
Expected: the paper gives the localization only (`configs/wsol/cub_cam.py`).
"""

from core.data.cub import CUB
from core.recipe import SGD, Every, Recipe
from transfer.stage import Transfer
from transfer.tasks.classification import FineTune

task = FineTune(data=CUB(), body_lr_scale=0.1)
config = Transfer(
    task=task,
    recipe=Recipe(
        epochs=600,
        batch_size=32,
        optimizer=SGD(lr=0.01, weight_decay=1e-4),
        schedule=Every(150),
    ),
    workers=8,
)
