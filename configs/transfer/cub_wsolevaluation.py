"""Fine-tuning on CUB-200-2011 for localization, by wsolevaluation's recipe.

Source: clovaai/wsolevaluation at commit 96f4b88 (Choe et al., CVPR 2020, arXiv 2001.07437). `data_loaders.py`:
squashed to 256, random crop of 224, flip; tests see the whole image, squashed to 224. `main.py`: SGD with Nesterov
momentum .9, layer4 and the new head at 10 times the rate of the rest, the last epoch counts. `wsol/resnet.py`: layer4
at stride 1, so 14 x 14 maps; with its `large_feature_map` layer3 too, so 28 x 28, which is not here. Batch 32, weight
decay 1e-4, 50 epochs, the rate divided by 10 every 15: as the epoch, counted from 1, reaches 15, so after 14.
Not in that repository: the learning rates behind its table, searched for each method (log-uniform, 1e-5 to 1). .0002,
.002 for layer4 and head, is what a user names for this case in its issue 35, whose run stayed below the table's number.
It starts from torchvision's first weights (`--backbone timm:resnet50.tv_in1k`).
5,994 images / 32 = 188 steps an epoch, the last of 10 images; 9,400 in all.
Command: `python -m transfer configs/transfer/cub_wsolevaluation.py --backbone RUN --data-root FOLDER`
Expected: the localization only (`configs/wsol/cub_wsolevaluation.py`).
"""

from core.data.cub import CUB
from core.recipe import SGD, Recipe, Steps
from transfer.stage import Transfer
from transfer.tasks.classification import FineTune

task = FineTune(
    data=CUB(),
    resize=256,
    crop=224,
    test_resize=224,
    body_lr_scale=0.1,
    fast_stages=("layer4",),
)
config = Transfer(
    task=task,
    recipe=Recipe(
        epochs=50,
        batch_size=32,
        optimizer=SGD(lr=0.002, momentum=0.9, weight_decay=1e-4, nesterov=True),
        schedule=Steps(at=(14, 29, 44)),
        drop_last=False,
    ),
    workers=8,
)
