"""ResNet-50 on ImageNet with CutMix, 300 epochs: a row of the paper's tables.

Source: CutMix (arXiv 1905.04899v2), table 3: alpha 1, every batch; everything else as in `resnet50_baseline`.
Command: `python -m pretrain configs/pretrain/resnet50_cutmix.py --data-root FOLDER`
Expected top-1 / top-5 error: 21.40 / 5.92 (the best epoch, which `more` holds beside the last).
"""

from dataclasses import replace

from configs.pretrain.resnet50_baseline import config as baseline
from pretrain.mixing.cutmix import CutMix

config = replace(baseline, mixing=CutMix(alpha=1.0))
