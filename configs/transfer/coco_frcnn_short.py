"""Faster R-CNN with a feature pyramid on COCO 2017 in a quarter of "1x": 22,500 steps, in bfloat16.

Source: `coco_frcnn`, by the one rule for short schedules (`transfer/schedules.py`): length and marks by 4, learning
rate, batch and warm-up as they are. bfloat16 and the clipped gradient (norm 35) are ours.
Arithmetic: 90,000 / 4 = 22,500 steps, divided by 10 at 15,000 and 20,000; 22,500 x 16 / 117,266 = 3.1 epochs.
Command: `python -m transfer configs/transfer/coco_frcnn_short.py --backbone RUN --data-root FOLDER`
Expected: no published number; below the full schedule's. Rows of one table can be compared with each other.
"""

from dataclasses import replace

from configs.transfer.coco_frcnn import config as full
from transfer.schedules import short

assert full.recipe is not None
config = replace(full, recipe=replace(short(full.recipe, 4), clip_norm=35.0), precision="bf16-mixed")
