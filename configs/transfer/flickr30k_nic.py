"""NIC with 512 units on Flickr30k in Karpathy's split, the encoder frozen.

Source: the set is Flickr30k (Young et al., TACL 2014), the split Karpathy's; the recipe is `coco_nic_512_frozen`'s as
it is, since Vinyals et al. (arXiv 1411.4555) give their sizes (512, beam 20) but no learning rate, batch or length.
Arithmetic: 29,000 images with 145,000 captions / 80 = 1,812 steps an epoch, 36,240 in all; 1,000 test images.
Command: `python -m transfer configs/transfer/flickr30k_nic.py --backbone RUN --data-root FOLDER`
Expected: no number of this recipe. Vinyals et al.'s abstract has a BLEU-1 of 66, of another encoder.
"""

from dataclasses import replace

from configs.transfer.coco_nic_512_frozen import config as coco
from configs.transfer.coco_nic_512_frozen import task as coco_task
from core.data.karpathy import FLICKR30K

task = replace(coco_task, data=FLICKR30K)
config = replace(coco, task=task)
