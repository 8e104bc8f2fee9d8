"""Mixup row of the table `mini_cifar100`: the baseline's training and nothing else changed.

Source: `mini_cifar100_baseline`, and `pretrain/mixing/mixup.py` for the method.
Command: `python -m pretrain configs/pretrain/mini_cifar100_mixup.py --data-root FOLDER`
Expected: see the table; so few images rank no method.
"""

from dataclasses import replace

from configs.pretrain.mini_cifar100_baseline import config as baseline
from pretrain.mixing.mixup import Mixup

config = replace(baseline, mixing=Mixup(alpha=1.0))
