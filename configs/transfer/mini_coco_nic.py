"""NIC captioning for the table `real_mini`: 120 + 60 real COCO images, a frozen backbone.

Source: the protocol of `coco_nic` with its sizes; a cosine from .002 in place of a constant .001, and a beam of 3. 120
images x 5 captions / 20 = 30 steps an epoch, 750 in all: about 20 CPU-seconds with start-up, features and Java.
Command: `python -m transfer configs/transfer/mini_coco_nic.py --backbone RUN --data-root FOLDER`
Expected: BLEU-4 of 7.4, METEOR 10.7, ROUGE_L 34.3, CIDEr 15.6 on the row baseline, seed 0; the 95% interval of BLEU-4
over the 60 test images is 4.2 to 10.6. 120 images teach the language of captions and hardly what is seen.
"""

from core.recipe import AdamW, Cosine, Recipe
from transfer.stage import Transfer
from transfer.tasks.captioning.nic import NIC
from transfer.tasks.captioning.task import Captioning

task = Captioning(
    resize=256, crop=224, decoder=NIC(embed=100, hidden=300, dropout=0.1), min_count=4, max_words=20, beam=3
)
config = Transfer(
    task=task,
    recipe=Recipe(epochs=25, batch_size=20, optimizer=AdamW(lr=2e-3), schedule=Cosine()),
)
