"""ResNet-101 on ImageNet with Mixup, 300 epochs: a row of the paper's table 4.

Source: CutMix (arXiv 1905.04899v2), table 4: alpha 1; everything else as in `imagenet_resnet101_baseline`.
Command: `python -m pretrain configs/pretrain/imagenet_resnet101_mixup.py --data-root FOLDER`
Expected top-1 / top-5 error: 20.52 / 5.28 (the best epoch, which `more` holds beside the last).
"""

from dataclasses import replace

from configs.pretrain.imagenet_resnet101_baseline import config as baseline
from pretrain.mixing.mixup import Mixup

config = replace(baseline, mixing=Mixup(alpha=1.0))
