"""NIC with 512 units on Flickr8k in Karpathy's split, the encoder frozen.

Source: the set is Flickr8k (Hodosh et al., JAIR 2013), the split Karpathy's; the recipe is `coco_nic_512_frozen`'s as
it is, since Vinyals et al. (arXiv 1411.4555) give their sizes (512, beam 20) but no learning rate, batch or length.
Arithmetic: 6,000 images with 30,000 captions / 80 = 375 steps an epoch, 7,500 in all; 1,000 test images.
Command: `python -m transfer configs/transfer/flickr8k_nic.py --backbone RUN --data-root FOLDER`
Expected: no number of this recipe.
"""

from dataclasses import replace

from configs.transfer.coco_nic_512_frozen import config as coco
from configs.transfer.coco_nic_512_frozen import task as coco_task
from core.data.karpathy import FLICKR8K

task = replace(coco_task, data=FLICKR8K)
config = replace(coco, task=task)
