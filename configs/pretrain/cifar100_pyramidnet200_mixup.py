"""PyramidNet-200 on CIFAR-100 with Mixup: a row of the paper's table 5.

Source: CutMix (arXiv 1905.04899v2), table 5: alpha 1; everything else as in `cifar100_pyramidnet200_baseline`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_mixup.py --data-root FOLDER`
Expected top-1 / top-5 error: 15.63 / 3.99 (table 5; the mean over three runs of the best epoch, which `more` holds
beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline
from pretrain.mixing.mixup import Mixup

config = replace(baseline, mixing=Mixup(alpha=1.0))
