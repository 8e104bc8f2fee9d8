"""Show, Attend and Tell with soft attention on Flickr30k in Karpathy's split, the encoder frozen.

Source: the set is Flickr30k (Young et al., TACL 2014), the split Karpathy's; the recipe is `coco_attention_frozen`'s
as it is. Xu et al. (arXiv 1502.03044) train with Adam, batches of 64, a frozen VGG's 14 x 14 places and 10,000
words, and stop by validation BLEU.
Arithmetic: 29,000 images with 145,000 captions / 80 = 1,812 steps an epoch, 36,240 in all; 1,000 test images.
Command: `python -m transfer configs/transfer/flickr30k_attention.py --backbone RUN --data-root FOLDER`
Expected: no number of this recipe. Xu et al., table 1, soft attention: BLEU-1 to BLEU-4 66.7 / 43.4 / 28.8 / 19.1,
METEOR 18.49. That table's BLEU has no brevity penalty, so that short captions score more there than here.
"""

from dataclasses import replace

from configs.transfer.coco_attention_frozen import config as coco
from configs.transfer.coco_attention_frozen import task as coco_task
from core.data.karpathy import FLICKR30K

task = replace(coco_task, data=FLICKR30K)
config = replace(coco, task=task)
