"""NIC with 512 units on COCO 2017's own split, the encoder frozen.

Source: the recipe of `coco_nic_512_frozen` on train2017 and val2017: the split that detection uses, for those who have
no other. Its 118,287 + 5,000 images are 2014's train and val, cut otherwise: a number here compares with none on
Karpathy's split, most of whose test images train2017 holds.
Arithmetic: 118,287 images with 591,753 captions / 80 = 7,396 steps an epoch, 147,920 in all.
Command: `python -m transfer configs/transfer/coco2017_nic.py --backbone RUN --data-root FOLDER`
Expected: no published number.
"""

from dataclasses import replace

from configs.transfer.coco_nic_512_frozen import config as karpathy
from configs.transfer.coco_nic_512_frozen import task as karpathy_task
from core.data.coco import CocoCaptions

task = replace(karpathy_task, data=CocoCaptions(), test_split="val")
config = replace(karpathy, task=task)
