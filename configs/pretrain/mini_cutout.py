"""Cutout row of the table `real_mini`: the baseline's training and nothing else changed.

Source: `mini_baseline`, and `pretrain/mixing/cutout.py` for the method.
Command: `python -m pretrain configs/pretrain/mini_cutout.py --data-root FOLDER`
Expected: docs/real_mini.md.
"""

from dataclasses import replace

from configs.pretrain.mini_baseline import config as baseline
from pretrain.mixing.cutout import Cutout

config = replace(baseline, mixing=Cutout(share=0.5))
