"""NIC captioning on COCO with a frozen ResNet-50, by the paper's protocol.

Source: CutMix, table 10 and appendix D: NIC, batch 20, learning rate .001, 100 epochs, beam 20. The rest are defaults
of the code that the paper names (stevehuanghe/image_captioning at 3618620): Adam with a constant rate, no clipping,
embedding 100, LSTM 300, dropout .1, words that occur 4 times or more, captions of at most 20 words in the search,
stretched to 256 x 256, crop of 224, train2014 -> val2014 ("120K / 40K" in the paper; no word on Karpathy's split).
Different here: the encoder's batch norms keep their statistics (there they are in train mode, without a gradient, and
drift); features are of the centre crop, once an image (there of random crops and flips, in the test too); the loss is
a mean over words (there over a batch's padded places: Adam hardly sees the factor); the search ends a caption at <end>
(there every beam runs on to 20 words and is cut at <end> later); <unk> is never written; punctuation is no word;
training captions are cut at 20 words; an epoch's short last batch is left out. That code has a ResNet-152; the paper's
rows, and ours, have a ResNet-50.
Arithmetic: 82,783 images with 414,113 captions / 20 = 20,705 steps an epoch, 2,070,500 in all. Features of train and
test: 123,287 x 2,048 x 2 bytes = 505 MB on disk.
Command: `python -m transfer configs/transfer/coco_nic.py --backbone RUN --data-root FOLDER`
Expected: BLEU-4 of the paper: baseline 22.9, Mixup 23.2, Cutout 24.0, CutMix 24.9. The code's author gets 25.3
greedily and 26.2 by beam search with ResNet-152 after 10 epochs (its README).
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
