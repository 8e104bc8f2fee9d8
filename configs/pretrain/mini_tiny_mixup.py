"""Mixup row of the table `mini_tiny`: the baseline's training and nothing else changed.

Source: `mini_tiny_baseline`, and `pretrain/mixing/mixup.py` for the method.
Command: `python -m pretrain configs/pretrain/mini_tiny_mixup.py --data-root FOLDER`
Expected: see the table; so few images rank no method.
"""

from dataclasses import replace

from configs.pretrain.mini_tiny_baseline import config as baseline
from pretrain.mixing.mixup import Mixup

config = replace(baseline, mixing=Mixup(alpha=1.0))
