"""HaS (Hide-and-Seek) in fine-tuning: a method of the table `wsol`; the rest is `cub`.

Source: `cub`, the recipe of the CutMix paper, and `pretrain/mixing/has.py` for the method with its defaults.
Command: `python -m transfer configs/transfer/cub_has.py --backbone RUN --data-root FOLDER`
Expected: no published number for ResNet-50 by this protocol.
"""

from dataclasses import replace

from configs.transfer.cub import config as plain
from configs.transfer.cub import task
from pretrain.mixing.has import HaS

config = replace(plain, task=replace(task, mixing=HaS(grid=4)))
