"""MoCo's protocol on Pascal VOC in a quarter of its steps: 6,000, in bfloat16.

Source: `voc_frcnn_moco`, by the one rule for short schedules (`transfer/schedules.py`): length and marks by 4, learning
rate, batch and warm-up as they are. bfloat16 and the clipped gradient (norm 35) are ours.
Arithmetic: 24,000 / 4 = 6,000 steps, divided by 10 at 4,500 and 5,500; 6,000 x 16 / 16,551 images = 5.8 epochs.
Command: `python -m transfer configs/transfer/voc_frcnn_moco_short.py --backbone RUN --data-root FOLDER`
Expected: no published number; below the full schedule's. Rows of one table can be compared with each other.
"""

from dataclasses import replace

from configs.transfer.voc_frcnn_moco import config as full
from transfer.schedules import short

assert full.recipe is not None
config = replace(full, recipe=replace(short(full.recipe, 4), clip_norm=35.0), precision="bf16-mixed")
