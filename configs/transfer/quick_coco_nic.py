"""NIC captioning for the table `quick`: the synthetic world's pictures, a frozen backbone.

Source: the protocol of `coco_nic`, scaled to seconds: a smaller decoder, a learning rate four times as high with a
cosine to 0 and batches of 50, since there are 600 steps only. Pictures are enlarged to 160 px, so that objects are
about as large as those of the world's ImageNet that the backbone was pretrained on.
500 images x 5 captions / 50 = 50 steps an epoch, 600 in all: about 14 CPU-seconds with start-up, features and Java.
Command: `python -m transfer configs/transfer/quick_coco_nic.py --backbone RUN`
Expected: BLEU-4 of 42.0 (39.4, 42.9, 43.8 for seeds 0 to 2) on the row baseline, 34.6 (33.0, 34.2, 36.6) on random
weights; one caption for all images gives up to 28. A beam of 10 writes blander captions that score 1 to 8 more, most on
random weights; 3 tells backbones apart better.
"""

from core.data.synthetic import World
from core.recipe import AdamW, Cosine, Recipe
from transfer.stage import Transfer
from transfer.tasks.captioning.task import Captioning

config = Transfer(
    world=World(),
    task=Captioning(resize=160, crop=160, embed=64, hidden=128, min_count=2, max_words=20, beam=3),
    recipe=Recipe(epochs=12, batch_size=50, optimizer=AdamW(lr=4e-3), schedule=Cosine()),
)
