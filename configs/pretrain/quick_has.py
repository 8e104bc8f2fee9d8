"""HaS row of the table `quick_wsol`: the baseline's training and nothing else changed.

Source: `quick_baseline`, and `pretrain/mixing/has.py` for the method.
Command: `python -m pretrain configs/pretrain/quick_has.py`
Expected: about the baseline's error; so small a world ranks no method.
"""

from dataclasses import replace

from configs.pretrain.quick_baseline import config as baseline
from pretrain.mixing.has import HaS

config = replace(baseline, mixing=HaS(grid=4))
