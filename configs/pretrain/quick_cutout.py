"""Cutout row of the table `quick`: the baseline's training and nothing else changed.

Source: `quick_baseline`, and `pretrain/mixing/cutout.py` for the method.
Command: `python -m pretrain configs/pretrain/quick_cutout.py`
Expected: see the table in README.
"""

from dataclasses import replace

from configs.pretrain.quick_baseline import config as baseline
from pretrain.mixing.cutout import Cutout

config = replace(baseline, mixing=Cutout(share=0.5))
