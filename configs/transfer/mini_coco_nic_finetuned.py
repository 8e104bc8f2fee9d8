"""NIC captioning for the table `mini_captioning`: 120 + 60 real COCO images, the encoder fine-tuned at the end.

Source: `mini_coco_nic`, and from epoch 23 of 25 the encoder at a fortieth of the decoder's rate, as in `coco_nic_512`.
Arithmetic: 120 images x 5 captions / 20 = 30 steps an epoch, 750 in all, the last 60 through the encoder.
Command: `python -m transfer configs/transfer/mini_coco_nic_finetuned.py --backbone RUN --data-root FOLDER`
Expected: docs/captioning.md. 120 images show that the way works, not what fine-tuning is worth.
"""

from dataclasses import replace

from configs.transfer.mini_coco_nic import config as frozen
from configs.transfer.mini_coco_nic import task as frozen_task

task = replace(frozen_task, finetune_from=23, encoder_lr_scale=0.025)
config = replace(frozen, task=task)
