"""NIC with 512 units on COCO, the encoder frozen, in a quarter of its epochs: 5.

Source: `coco_nic_512_frozen`, by the one rule for short schedules (`transfer/schedules.py`): the length by 4.
Arithmetic: 566,747 captions / 80 = 7,084 steps an epoch, 35,420 in all.
Command: `python -m transfer configs/transfer/coco_nic_512_frozen_short.py --backbone RUN --data-root FOLDER`
Expected: no published number; below the full schedule's. Rows of one table can be compared with each other.
"""

from dataclasses import replace

from configs.transfer.coco_nic_512_frozen import config as full
from transfer.schedules import short

assert full.recipe is not None
config = replace(full, recipe=short(full.recipe, 4))
