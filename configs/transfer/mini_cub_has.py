"""HaS (Hide-and-Seek) in fine-tuning: a method of the table `mini_wsol`; the rest is `mini_cub`.

Source: `mini_cub`, and `pretrain/mixing/has.py` for the method.
Command: `python -m transfer configs/transfer/mini_cub_has.py --backbone RUN --data-root FOLDER`
Expected: nothing; so few images rank no method.
"""

from dataclasses import replace

from configs.transfer.mini_cub import config as plain
from configs.transfer.mini_cub import task
from pretrain.mixing.has import HaS

config = replace(plain, task=replace(task, mixing=HaS(grid=4)))
