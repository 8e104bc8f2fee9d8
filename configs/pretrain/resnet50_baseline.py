"""ResNet-50 on ImageNet, 300 epochs: the baseline row of the paper's tables.

Source: CutMix (arXiv 1905.04899v2), section 4.1 and table 3: 300 epochs, learning rate .1, divided by 10 at 75, 150 and
225, batch 256. From the authors' code (clovaai/CutMix-PyTorch at commit 2d8eb68): Nesterov momentum .9, weight decay
1e-4, RandomResizedCrop(224), flip, colour jitter .4 and PCA lighting .1 (these two are not in the paper's text);
validation at short side 256, centre crop 224. No label smoothing, warm-up or averaging. Every batch norm starts
with weight 1, as in their ResNet; timm's own start is 0 in the last one of each block (`zero_init_last`).
1,281,167 images / 256 = 5,005 steps an epoch, the last of 143 images; 1,501,500 in all.
Command: `python -m pretrain configs/pretrain/resnet50_baseline.py --data-root FOLDER`
Expected top-1 / top-5 error: 23.68 / 7.05 (table 3; the best epoch, which `more` holds beside the last).
"""

from core.data.imagenet import ImageNet
from core.recipe import SGD, Recipe, Steps
from pretrain.augmentation import RandomResizedCrop
from pretrain.mixing.none import NoMixing
from pretrain.stage import Pretrain

config = Pretrain(
    data=ImageNet(),
    architecture="timm:resnet50",
    kwargs={"zero_init_last": False},
    image_size=224,
    resize=256,
    augmentation=RandomResizedCrop(jitter=0.4, lighting=0.1),
    mixing=NoMixing(),
    recipe=Recipe(
        epochs=300,
        batch_size=256,
        optimizer=SGD(lr=0.1, momentum=0.9, weight_decay=1e-4, nesterov=True),
        schedule=Steps(at=(75, 150, 225)),
        drop_last=False,
    ),
    workers=16,
)
