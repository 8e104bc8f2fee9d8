"""ADL (attention-based dropout) in fine-tuning: a method of the table `wsol`; the rest is `cub`.

Source: `cub`, the recipe of the CutMix paper, and `transfer/regularizers/adl.py` for the method with its defaults.
Command: `python -m transfer configs/transfer/cub_adl.py --backbone RUN --data-root FOLDER`
Expected: no published number for this ResNet-50 by this protocol.
"""

from dataclasses import replace

from configs.transfer.cub import config as plain
from configs.transfer.cub import task
from transfer.regularizers.adl import ADL

config = replace(plain, task=replace(task, regularizer=ADL()))
