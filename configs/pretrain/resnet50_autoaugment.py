"""ResNet-50 on ImageNet with AutoAugment, 300 epochs: a row of the paper's table 3.

Source: CutMix (arXiv 1905.04899v2), the README's table quotes AutoAugment's paper (arXiv 1805.09501); its policy for
ImageNet in place of the authors' colour changes; everything else as in `resnet50_baseline`.
Command: `python -m pretrain configs/pretrain/resnet50_autoaugment.py --data-root FOLDER`
Expected top-1 error: 22.40, of that paper's own recipe.
"""

from dataclasses import replace

from configs.pretrain.resnet50_baseline import config as baseline
from pretrain.augmentation import RandomResizedCrop
from pretrain.policies import AutoAugment

config = replace(baseline, augmentation=RandomResizedCrop(policy=AutoAugment()))
