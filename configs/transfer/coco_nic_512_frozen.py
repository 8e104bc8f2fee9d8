"""NIC with 512 units on COCO in Karpathy's split, the encoder frozen: what is usual since.

Source: aaronma2020/caption_zoo at c8dc20a, config/nic.py and train/nic: embedding and LSTM 512, no batch normalisation
of the image's embedding, dropout .5 before the output, Adam 4e-4, batch 80, words that occur 5 times or more,
sequences of at most 20 with <start> and <end>, beam 3; 20 epochs before the encoder is touched. Its `grad_clip` of .1
is not passed on, so nothing is clipped.
Different here: that code's encoder is an Inception v3 on whole images of 299 x 299, here whole images of 224 x 224,
the backbones' own size, antialiased bilinear (there Lanczos); there it is in train mode though nothing of it is
trained, so that its batch norms drift and half of its features are dropped; the last epoch counts (there the best
CIDEr of 20); captions are cut at 18 words, there at 19; punctuation is no word. Its split is called Karpathy's but is a
shuffle of its own (Python's, seed 21) of the same 123,287 images into as many: its numbers are of other test images.
They do not say val or test.
Arithmetic: 113,287 images with 566,747 captions / 80 = 7,084 steps an epoch, 141,680 in all.
Command: `python -m transfer configs/transfer/coco_nic_512_frozen.py --backbone RUN --data-root FOLDER`
Expected: BLEU-4 26.2, METEOR 22.6, ROUGE_L 49.4, CIDEr 79.0 there (Inception v3).
"""

from core.data.karpathy import Karpathy
from core.recipe import AdamW, Recipe
from transfer.stage import Transfer
from transfer.tasks.captioning.nic import NIC
from transfer.tasks.captioning.task import Captioning

task = Captioning(
    data=Karpathy(),
    test_split="test",
    resize=224,
    crop=224,
    decoder=NIC(embed=512, hidden=512, dropout=0.5, norm=False),
    min_count=5,
    max_words=18,
    beam=3,
)
config = Transfer(
    task=task,
    recipe=Recipe(epochs=20, batch_size=80, optimizer=AdamW(lr=4e-4)),  # AdamW without decay is Adam
    workers=8,
)
