"""HaS row of the table `mini_wsol`: the baseline's training and nothing else changed.

Source: `mini_baseline`, and `pretrain/mixing/has.py` for the method.
Command: `python -m pretrain configs/pretrain/mini_has.py --data-root FOLDER`
Expected: about the baseline's error (docs/real_mini.md); so few images rank no method.
"""

from dataclasses import replace

from configs.pretrain.mini_baseline import config as baseline
from pretrain.mixing.has import HaS

config = replace(baseline, mixing=HaS(grid=4))
