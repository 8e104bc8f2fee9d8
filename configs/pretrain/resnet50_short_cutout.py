"""ResNet-50 on ImageNet with Cutout, the short recipe of ours.

Source: ours; `pretrain/mixing/cutout.py` for the method; everything else as in `resnet50_short_baseline`.
Command: `python -m pretrain configs/pretrain/resnet50_short_cutout.py --data-root FOLDER`
Expected: not measured.
"""

from dataclasses import replace

from configs.pretrain.resnet50_short_baseline import config as baseline
from pretrain.mixing.cutout import Cutout

config = replace(baseline, mixing=Cutout(share=0.5))
