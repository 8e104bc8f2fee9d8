"""ADL (attention-based dropout) in fine-tuning: a method of the table `mini_wsol`; the rest is `mini_cub`.

Source: `mini_cub`, and `transfer/regularizers/adl.py` for the method; the small network has one block a stage.
Command: `python -m transfer configs/transfer/mini_cub_adl.py --backbone RUN --data-root FOLDER`
Expected: nothing; so few images rank no method.
"""

from dataclasses import replace

from configs.transfer.mini_cub import config as plain
from configs.transfer.mini_cub import task
from transfer.regularizers.adl import ADL

config = replace(plain, task=replace(task, regularizer=ADL(after=("layer3.0", "layer4.0"))))
