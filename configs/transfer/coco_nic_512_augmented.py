"""NIC with 512 units on COCO in Karpathy's split, fine-tuned, with random crops and flips.

Source: `coco_nic_512`'s (aaronma2020/caption_zoo at c8dc20a), "with image transform": its sizes for a network of 224
pixels, utils/common.py: stretched to 300 x 300, a random crop of 224 x 224, flips; the test sees the whole image at
224 x 224. Different here: also what differs in `coco_nic_512`. No feature can be kept, since every view is new:
566,747 views pass the encoder in every epoch, the first 20 too.
Arithmetic: 566,747 captions / 80 = 7,084 steps an epoch, 212,520 in all.
Command: `python -m transfer configs/transfer/coco_nic_512_augmented.py --backbone RUN --data-root FOLDER`
Expected: BLEU-4 30.8, METEOR 25.3, ROUGE_L 53.0, CIDEr 95.6 there (Inception v3, 400 -> 299).
"""

from dataclasses import replace

from configs.transfer.coco_nic_512 import config as plain
from configs.transfer.coco_nic_512 import task as plain_task

task = replace(plain_task, resize=300, crop=224, test_resize=224, augment=True)
config = replace(plain, task=task)
