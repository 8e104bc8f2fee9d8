"""CutMix row of the table `quick`: the baseline's training and nothing else changed.

Source: `quick_baseline`, and `pretrain/mixing/cutmix.py` for the method.
Command: `python -m pretrain configs/pretrain/quick_cutmix.py`
Expected: see the table in README.
"""

from dataclasses import replace

from configs.pretrain.quick_baseline import config as baseline
from pretrain.mixing.cutmix import CutMix

config = replace(baseline, mixing=CutMix(alpha=1.0))
