"""ResNet-50 on ImageNet with Mixup, 300 epochs: a row of the paper's tables.

Source: CutMix (arXiv 1905.04899v2), table 3: alpha 1 (of .5 and 1 tried); everything else as in `resnet50_baseline`.
Command: `python -m pretrain configs/pretrain/resnet50_mixup.py --data-root FOLDER`
Expected top-1 / top-5 error: 22.58 / 6.40 (the best epoch, which `more` holds beside the last).
"""

from dataclasses import replace

from configs.pretrain.resnet50_baseline import config as baseline
from pretrain.mixing.mixup import Mixup

config = replace(baseline, mixing=Mixup(alpha=1.0))
