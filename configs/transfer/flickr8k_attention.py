"""Show, Attend and Tell with soft attention on Flickr8k in Karpathy's split, the encoder frozen.

Source: the set is Flickr8k (Hodosh et al., JAIR 2013), the split Karpathy's; the recipe is `coco_attention_frozen`'s
as it is. Xu et al. (arXiv 1502.03044) train with RMSProp, batches of 64, a frozen VGG's 14 x 14 places and 10,000
words, and stop by validation BLEU.
Arithmetic: 6,000 images with 30,000 captions / 80 = 375 steps an epoch, 7,500 in all; 1,000 test images.
Command: `python -m transfer configs/transfer/flickr8k_attention.py --backbone RUN --data-root FOLDER`
Expected: no number of this recipe. Xu et al., table 1, soft attention: BLEU-1 to BLEU-4 67 / 44.8 / 29.9 / 19.5,
METEOR 18.93. That table's BLEU has no brevity penalty, so that short captions score more there than here.
"""

from dataclasses import replace

from configs.transfer.coco_attention_frozen import config as coco
from configs.transfer.coco_attention_frozen import task as coco_task
from core.data.karpathy import FLICKR8K

task = replace(coco_task, data=FLICKR8K)
config = replace(coco, task=task)
