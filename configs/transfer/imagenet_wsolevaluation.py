"""Fine-tuning on ImageNet for localization, by wsolevaluation's recipe.

Source: as in `cub_wsolevaluation`, with 10 epochs and the rate divided by 10 every 3: as the epoch, counted from 1,
reaches 3, 6 and 9. On ImageNet wsolevaluation keeps the backbone's own classifier (`wsol/resnet.py`).
Not in that repository: the learning rates behind its table, searched for each method (log-uniform, 1e-5 to 1). .0023,
.023 for layer4 and head, is the rate of its README's one example (VGG-16 on OpenImages), rounded; nothing says that it
is right here. 1,281,167 images / 32 = 40,037 steps an epoch, the last of 15 images; 400,370 in all.
Command: `python -m transfer configs/transfer/imagenet_wsolevaluation.py --backbone RUN --data-root FOLDER`
Expected: the localization only (`configs/wsol/imagenet_wsolevaluation.py`).
"""

from core.data.imagenet import ImageNet
from core.recipe import SGD, Recipe, Steps
from transfer.stage import Transfer
from transfer.tasks.classification import FineTune

task = FineTune(
    data=ImageNet(),
    test_split="val",
    resize=256,
    crop=224,
    test_resize=224,
    keep_head=True,
    body_lr_scale=0.1,
    fast_stages=("layer4",),
)
config = Transfer(
    task=task,
    recipe=Recipe(
        epochs=10,
        batch_size=32,
        optimizer=SGD(lr=0.023, momentum=0.9, weight_decay=1e-4, nesterov=True),
        schedule=Steps(at=(2, 5, 8)),
        drop_last=False,
    ),
    test_batch_size=256,
    workers=16,
)
