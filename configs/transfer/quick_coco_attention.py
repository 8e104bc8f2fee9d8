"""Show, Attend and Tell on the synthetic world's pictures, a frozen backbone: a column of the table `quick_captioning`.

Source: `quick_coco_nic`'s recipe with an attention decoder of the same size.
Arithmetic: 500 images x 5 captions / 50 = 50 steps an epoch, 1,000 in all.
Command: `python -m transfer configs/transfer/quick_coco_attention.py --backbone RUN`
Expected: BLEU-4 of 37.5 on the row baseline, seed 0: no better than random weights with `quick_coco_nic`.
"""

from dataclasses import replace

from configs.transfer.quick_coco_nic import config as nic
from configs.transfer.quick_coco_nic import task as nic_task
from transfer.tasks.captioning.attention import Attention

task = replace(nic_task, decoder=Attention(embed=64, hidden=128, attention=64, dropout=0.1))
config = replace(nic, task=task)
