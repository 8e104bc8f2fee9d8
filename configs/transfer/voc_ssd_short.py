"""The paper's SSD300 on Pascal VOC in a quarter of its steps: 30,000.

Source: `voc_ssd`, by the one rule for short schedules (`transfer/schedules.py`): length and marks by 4, learning rate
and batch as they are.
Arithmetic: 120,000 / 4 = 30,000 steps, divided by 10 at 20,000 and 25,000; 30,000 x 32 / 16,551 images = 58 epochs.
Command: `python -m transfer configs/transfer/voc_ssd_short.py --backbone RUN --data-root FOLDER`
Expected: no published number; below the full schedule's. Rows of one table can be compared with each other.
"""

from dataclasses import replace

from configs.transfer.voc_ssd import config as full
from transfer.schedules import short

assert full.recipe is not None
config = replace(full, recipe=short(full.recipe, 4))
