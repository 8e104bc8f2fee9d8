"""Fine-tuning on ImageNet for localization, by the paper's protocol: layer4 at stride 1, a new last layer, 20 epochs.

Source: CutMix, section 4.2 and appendix B: batch 256, learning rate .1 for the new last layer and .01 for the rest,
divided by 10 every 6 epochs; squashed to 256, random crop of 224. 1,281,167 images / 256 = 5,004 steps an epoch.
Command: `python -m transfer configs/transfer/imagenet_wsol.py --backbone RUN --data-root FOLDER`
Expected: the paper gives the localization only (`configs/wsol/imagenet_cam.py`).
"""

from core.data.imagenet import ImageNet
from core.recipe import SGD, Every, Recipe
from transfer.stage import Transfer
from transfer.tasks.classification import FineTune

config = Transfer(
    task=FineTune(data=ImageNet(), test_split="val", body_lr_scale=0.1),
    recipe=Recipe(
        epochs=20,
        batch_size=256,
        optimizer=SGD(lr=0.1, weight_decay=1e-4),
        schedule=Every(6),
    ),
    test_batch_size=256,
    workers=16,
)
