"""NIC captioning on COCO with a frozen ResNet-50, by the paper's protocol.

Source: CutMix, table 10 and appendix D: NIC, batch 20, learning rate .001, 100 epochs, beam 20; the rest are defaults
of the code that the paper names (stevehuanghe/image_captioning): Adam, embedding 100, LSTM 300, dropout .1, words that
occur 4 times or more, captions of at most 20 words, stretched to 256 x 256, crop of 224, train2014 -> val2014. What
this project does otherwise is listed in transfer/tasks/captioning/task.py.
An epoch shows every caption once: 82,783 images with 414,113 captions / 20 = 20,705 steps, 2,070,500 in all. Images are
read once, for their features (82,783 x 2,048 float32 = 678 MB on the device).
Command: `python -m transfer configs/transfer/coco_nic.py --backbone RUN --data-root FOLDER`
Expected: BLEU-4 of the paper: baseline 22.9, Mixup 23.2, Cutout 24.0, CutMix 24.9.
"""

from core.data.coco import CocoCaptions
from core.recipe import AdamW, Recipe
from transfer.stage import Transfer
from transfer.tasks.captioning.nic import NIC
from transfer.tasks.captioning.task import Captioning

config = Transfer(
    task=Captioning(
        data=CocoCaptions(train="train2014", val="val2014"),
        resize=256,
        crop=224,
        decoder=NIC(embed=100, hidden=300, dropout=0.1),
        min_count=4,
        max_words=20,
        beam=20,
    ),
    recipe=Recipe(epochs=100, batch_size=20, optimizer=AdamW(lr=1e-3)),  # AdamW without decay is Adam
    workers=8,
)
