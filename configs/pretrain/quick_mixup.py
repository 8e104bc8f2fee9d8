"""Mixup row of the table `quick`: the baseline's training and nothing else changed.

Source: `quick_baseline`, and `pretrain/mixing/mixup.py` for the method.
Command: `python -m pretrain configs/pretrain/quick_mixup.py`
Expected: see the table in README.
"""

from dataclasses import replace

from configs.pretrain.quick_baseline import config as baseline
from pretrain.mixing.mixup import Mixup

config = replace(baseline, mixing=Mixup(alpha=1.0))
