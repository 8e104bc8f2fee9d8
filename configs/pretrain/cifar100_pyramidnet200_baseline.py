"""PyramidNet-200 (alpha 240) on CIFAR-100, 300 epochs: the baseline of the paper's table 5.

Source: CutMix (arXiv 1905.04899v2), section 4.1 and table 5: 300 epochs, batch 64, learning rate .25, divided by 10 at
150 and 225; 26.8 M parameters (26,844,952, with bottlenecks). From the authors' code (clovaai/CutMix-PyTorch at commit
2d8eb68): Nesterov momentum .9, weight decay 1e-4, a random crop from the image padded by 4 pixels, a flip; pixels
normalised by CIFAR's mean 125.3, 123.0, 113.9 and standard deviation 63.0, 62.1, 66.7 (of 255).
50,000 images / 64 = 782 steps an epoch, the last of 16 images; 234,600 in all.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_baseline.py --data-root FOLDER`
Expected top-1 / top-5 error: 16.45 / 3.69 (table 5; the mean over three runs of the best epoch, which `more` holds
beside the last). Others' runs: best 16.31, last 16.50 (issue 7 there).
"""

from core.data.cifar import CIFAR100
from core.recipe import SGD, Recipe, Steps
from pretrain.augmentation import PaddedCrop
from pretrain.mixing.none import NoMixing
from pretrain.stage import Pretrain

config = Pretrain(
    data=CIFAR100(),
    architecture="core.networks.pyramidnet:PyramidNet",
    kwargs={"depth": 200, "alpha": 240.0},
    image_size=32,
    resize=32,
    mean=(125.3 / 255, 123.0 / 255, 113.9 / 255),
    std=(63.0 / 255, 62.1 / 255, 66.7 / 255),
    augmentation=PaddedCrop(padding=4),
    mixing=NoMixing(),
    recipe=Recipe(
        epochs=300,
        batch_size=64,
        optimizer=SGD(lr=0.25, momentum=0.9, weight_decay=1e-4, nesterov=True),
        schedule=Steps(at=(150, 225)),
        drop_last=False,
    ),
    workers=4,
)
