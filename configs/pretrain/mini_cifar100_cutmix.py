"""CutMix row of the table `mini_cifar100`: the baseline's training and nothing else changed.

Source: `mini_cifar100_baseline`, and `pretrain/mixing/cutmix.py` for the method on half of the batches, as the authors
do on CIFAR-100.
Command: `python -m pretrain configs/pretrain/mini_cifar100_cutmix.py --data-root FOLDER`
Expected: see the table; so few images rank no method.
"""

from dataclasses import replace

from configs.pretrain.mini_cifar100_baseline import config as baseline
from pretrain.mixing.cutmix import CutMix

config = replace(baseline, mixing=CutMix(alpha=1.0, probability=0.5))
