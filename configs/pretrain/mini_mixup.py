"""Mixup row of the table `real_mini`: the baseline's training and nothing else changed.

Source: `mini_baseline`, and `pretrain/mixing/mixup.py` for the method.
Command: `python -m pretrain configs/pretrain/mini_mixup.py --data-root FOLDER`
Expected: docs/real_mini.md.
"""

from dataclasses import replace

from configs.pretrain.mini_baseline import config as baseline
from pretrain.mixing.mixup import Mixup

config = replace(baseline, mixing=Mixup(alpha=1.0))
