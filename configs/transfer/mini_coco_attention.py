"""Show, Attend and Tell for the table `mini_captioning`: 120 + 60 real COCO images, a frozen backbone.

Source: `mini_coco_nic`'s recipe with the decoder of `coco_attention`, smaller: embedding and attention 100, LSTM 300.
Arithmetic: 120 images x 5 captions / 20 = 30 steps an epoch, 750 in all.
Command: `python -m transfer configs/transfer/mini_coco_attention.py --backbone RUN --data-root FOLDER`
Expected: docs/captioning.md. 120 images show that the way works, not which decoder is better.
"""

from dataclasses import replace

from configs.transfer.mini_coco_nic import config as nic
from configs.transfer.mini_coco_nic import task as nic_task
from transfer.tasks.captioning.attention import Attention

task = replace(nic_task, decoder=Attention(embed=100, hidden=300, attention=100, dropout=0.1))
config = replace(nic, task=task)
