"""The paper's NIC captioning in a tenth of its epochs: 10.

Source: `coco_nic`, by the one rule for short schedules (`transfer/schedules.py`): the length by 10, learning rate and
batch as they are. The author of the code that the paper names printed his results after 10 epochs, too.
Arithmetic: 414,113 captions / 20 = 20,705 steps an epoch, 207,050 in all.
Command: `python -m transfer configs/transfer/coco_nic_short.py --backbone RUN --data-root FOLDER`
Expected: no published number; below the full schedule's. Rows of one table can be compared with each other.
"""

from dataclasses import replace

from configs.transfer.coco_nic import config as full
from transfer.schedules import short

assert full.recipe is not None
config = replace(full, recipe=short(full.recipe, 10))
