"""ResNet-18 on Tiny-ImageNet with Mixup: a row of the table `tiny_imagenet`.

Source: ours; the paper trains nothing on this set. Mixup; everything else as in `tiny_resnet18_baseline`.
Command: `python -m pretrain configs/pretrain/tiny_resnet18_mixup.py --data-root FOLDER`
Expected: no published number.
"""

from dataclasses import replace

from configs.pretrain.tiny_resnet18_baseline import config as baseline
from pretrain.mixing.mixup import Mixup

config = replace(baseline, mixing=Mixup(alpha=1.0))
