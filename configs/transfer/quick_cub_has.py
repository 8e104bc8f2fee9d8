"""HaS (Hide-and-Seek) in fine-tuning: a method of the table `quick_wsol`; the rest is `quick_cub`.

Source: `quick_cub`, and `pretrain/mixing/has.py` for the method.
Command: `python -m transfer configs/transfer/quick_cub_has.py --backbone RUN`
Expected: nothing; so small a world ranks no method.
"""

from dataclasses import replace

from configs.transfer.quick_cub import config as plain
from configs.transfer.quick_cub import task
from pretrain.mixing.has import HaS

config = replace(plain, task=replace(task, mixing=HaS(grid=4)))
