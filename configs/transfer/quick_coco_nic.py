"""NIC captioning for the table `quick`: the synthetic world's pictures, a frozen backbone.

Source: the protocol of `coco_nic`, scaled to seconds: a smaller decoder, a learning rate four times as high with a
cosine to 0, weight decay, and batches of 50, since there are 1,000 steps only. Pictures are enlarged to 192 px, so
that their objects are no smaller than those of the world's ImageNet that the backbone was pretrained on. 500 images x
5 captions / 50 = 50 steps an epoch, 1,000 in all: about 17 CPU-seconds with start-up, features and Java.
Command: `python -m transfer configs/transfer/quick_coco_nic.py --backbone RUN`
Expected: BLEU-4 of 39.5 on the row baseline, 43.1, 47.2, 44.7 on Mixup, Cutout, CutMix, seed 0. Seeds of one backbone
lie up to 6 apart, and random weights reach 36 to 38, so differences of less than 5 between rows are noise. One caption
for all images gives up to 28. A beam of 10 writes blander captions that score more, most of all on random weights; 3
tells backbones apart better.
"""

from core.data.synthetic import World
from core.recipe import AdamW, Cosine, Recipe
from transfer.stage import Transfer
from transfer.tasks.captioning.nic import NIC
from transfer.tasks.captioning.task import Captioning

task = Captioning(
    resize=192, crop=192, decoder=NIC(embed=64, hidden=128), min_count=2, max_words=20, beam=3, metrics=("bleu",)
)
config = Transfer(
    world=World(),
    task=task,
    recipe=Recipe(epochs=20, batch_size=50, optimizer=AdamW(lr=4e-3, weight_decay=0.3), schedule=Cosine()),
)
