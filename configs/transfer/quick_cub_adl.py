"""ADL (attention-based dropout) in fine-tuning: a method of the table `quick_wsol`; the rest is `quick_cub`.

Source: `quick_cub`, and `transfer/regularizers/adl.py` for the method; the small network has one block a stage.
Command: `python -m transfer configs/transfer/quick_cub_adl.py --backbone RUN`
Expected: nothing; so small a world ranks no method.
"""

from dataclasses import replace

from configs.transfer.quick_cub import config as plain
from configs.transfer.quick_cub import task
from transfer.regularizers.adl import ADL

config = replace(plain, task=replace(task, regularizer=ADL(after=("layer3.0", "layer4.0"))))
