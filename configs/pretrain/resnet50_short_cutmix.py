"""ResNet-50 on ImageNet with CutMix, the short recipe of ours.

Source: ours; `pretrain/mixing/cutmix.py` for the method; everything else as in `resnet50_short_baseline`.
Command: `python -m pretrain configs/pretrain/resnet50_short_cutmix.py --data-root FOLDER`
Expected: not measured.
"""

from dataclasses import replace

from configs.pretrain.resnet50_short_baseline import config as baseline
from pretrain.mixing.cutmix import CutMix

config = replace(baseline, mixing=CutMix(alpha=1.0))
