"""ResNet-50 on ImageNet with Mixup, the short recipe of ours.

Source: ours; `pretrain/mixing/mixup.py` for the method; everything else as in `resnet50_short_baseline`.
Command: `python -m pretrain configs/pretrain/resnet50_short_mixup.py --data-root FOLDER`
Expected: not measured.
"""

from dataclasses import replace

from configs.pretrain.resnet50_short_baseline import config as baseline
from pretrain.mixing.mixup import Mixup

config = replace(baseline, mixing=Mixup(alpha=1.0))
