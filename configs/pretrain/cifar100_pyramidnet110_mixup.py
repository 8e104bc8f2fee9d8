"""PyramidNet-110 (alpha 64) on CIFAR-100 with Mixup.

Source: ours; the paper has no such row. Alpha 1 as in its table 5; everything else as in
`cifar100_pyramidnet110_baseline`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet110_mixup.py --data-root FOLDER`
Expected: no published number.
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet110_baseline import config as baseline
from pretrain.mixing.mixup import Mixup

config = replace(baseline, mixing=Mixup(alpha=1.0))
