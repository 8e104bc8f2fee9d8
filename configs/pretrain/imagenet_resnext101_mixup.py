"""ResNeXt-101 (32x4d) on ImageNet with Mixup, 300 epochs.

Source: ours; the paper has no such row. Alpha 1; everything else as in `imagenet_resnext101_baseline`.
Command: `python -m pretrain configs/pretrain/imagenet_resnext101_mixup.py --data-root FOLDER`
Expected: no published number.
"""

from dataclasses import replace

from configs.pretrain.imagenet_resnext101_baseline import config as baseline
from pretrain.mixing.mixup import Mixup

config = replace(baseline, mixing=Mixup(alpha=1.0))
