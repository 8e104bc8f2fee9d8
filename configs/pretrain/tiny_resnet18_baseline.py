"""ResNet-18 on Tiny-ImageNet (200 classes, 64 x 64 pixels), 200 epochs: the baseline of the table `tiny_imagenet`.

Source: ours; the paper trains nothing on this set. The zip is read in place. Batch 128, learning rate .1, divided by 10
at 100 and 150, Nesterov momentum .9, weight decay 5e-4, a random crop from the image padded by 8 pixels, a flip; the
mean and deviation are ImageNet's, whose images these are.
100,000 images / 128 = 782 steps an epoch, the last of 32 images; 156,400 in all.
Command: `python -m pretrain configs/pretrain/tiny_resnet18_baseline.py --data-root FOLDER`
Expected: no published number for this training.
"""

from core.data.tiny_imagenet import TinyImageNet
from core.recipe import SGD, Recipe, Steps
from pretrain.augmentation import PaddedCrop
from pretrain.mixing.none import NoMixing
from pretrain.stage import Pretrain

config = Pretrain(
    data=TinyImageNet(),
    architecture="timm:resnet18",
    image_size=64,
    resize=64,
    augmentation=PaddedCrop(padding=8),
    mixing=NoMixing(),
    recipe=Recipe(
        epochs=200,
        batch_size=128,
        optimizer=SGD(lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True),
        schedule=Steps(at=(100, 150)),
        drop_last=False,
    ),
    workers=4,
)
