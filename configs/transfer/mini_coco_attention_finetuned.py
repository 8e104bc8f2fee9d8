"""Show, Attend and Tell for the table `mini_captioning`: 120 + 60 real images, the encoder fine-tuned at the end.

Source: `mini_coco_attention`, and from epoch 23 of 25 the encoder at a quarter of the decoder's rate, as in
`coco_attention`.
Arithmetic: 120 images x 5 captions / 20 = 30 steps an epoch, 750 in all, the last 60 through the encoder.
Command: `python -m transfer configs/transfer/mini_coco_attention_finetuned.py --backbone RUN --data-root FOLDER`
Expected: docs/captioning.md. 120 images show that the way works, not what fine-tuning is worth.
"""

from dataclasses import replace

from configs.transfer.mini_coco_attention import config as frozen
from configs.transfer.mini_coco_attention import task as frozen_task

task = replace(frozen_task, finetune_from=23, freeze_at=2, encoder_lr_scale=0.25)
config = replace(frozen, task=task)
