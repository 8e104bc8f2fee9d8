"""The paper's Faster R-CNN on Pascal VOC in a quarter of its steps: 30,000.

Source: `voc_frcnn`, by the one rule for short schedules (`transfer/schedules.py`): length and mark by 4, learning rate
and batch as they are.
Arithmetic: 120,000 / 4 = 30,000 steps, divided by 10 at 25,000; 30,000 x 8 / 16,551 images = 14.5 epochs.
Command: `python -m transfer configs/transfer/voc_frcnn_short.py --backbone RUN --data-root FOLDER`
Expected: no published number; below the full schedule's. Rows of one table can be compared with each other.
"""

from dataclasses import replace

from configs.transfer.voc_frcnn import config as full
from transfer.schedules import short

assert full.recipe is not None
config = replace(full, recipe=short(full.recipe, 4))
