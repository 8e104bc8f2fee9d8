"""Cutout row of the table `mini_cifar100`: the baseline's training and nothing else changed.

Source: `mini_cifar100_baseline`, and `pretrain/mixing/cutout.py` for the method.
Command: `python -m pretrain configs/pretrain/mini_cifar100_cutout.py --data-root FOLDER`
Expected: see the table; so few images rank no method.
"""

from dataclasses import replace

from configs.pretrain.mini_cifar100_baseline import config as baseline
from pretrain.mixing.cutout import Cutout

config = replace(baseline, mixing=Cutout(share=0.5))
