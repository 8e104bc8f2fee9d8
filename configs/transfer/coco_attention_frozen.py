"""Show, Attend and Tell with soft attention on COCO in Karpathy's split, the encoder frozen.

Source: sgrvinod/a-PyTorch-Tutorial-to-Image-Captioning at cc9c7e2, train.py, models.py, README's "Training":
embedding, LSTM and attention 512, dropout .5, a gate for each channel, the doubly stochastic penalty with weight 1,
Adam 4e-4, batch 80, gradients' values clipped at 5, words that occur more than 5 times, captions of at most 50 words,
whole images of 256 x 256, 20 epochs; beam 5. The architecture is Xu et al.'s (arXiv 1502.03044, "soft").
Different here: that code's encoder is a ResNet-101, and its map of 8 x 8 places is blown up to 14 x 14, which says
nothing new; here the 8 x 8 places are read; its encoder's batch norms are in train mode; its vocabulary counts all
splits' captions; captions above 50 words are cut (there left out); the last epoch counts (there the 13th, its best by a
teacher-forced BLEU).
Arithmetic: 566,747 captions / 80 = 7,084 steps an epoch (there exactly five captions an image, 7,081), 141,680 in all.
Maps of train and test on disk: 118,287 x 64 x 2,048 x 2 bytes = 31 GB.
Command: `python -m transfer configs/transfer/coco_attention_frozen.py --backbone RUN --data-root FOLDER`
Expected: no published number of this form. Xu et al., with VGG-19: BLEU-4 24.3, METEOR 23.9.
"""

from core.data.karpathy import Karpathy
from core.recipe import AdamW, Recipe
from transfer.stage import Transfer
from transfer.tasks.captioning.attention import Attention
from transfer.tasks.captioning.task import Captioning

task = Captioning(
    data=Karpathy(),
    test_split="test",
    resize=256,
    crop=256,
    decoder=Attention(embed=512, hidden=512, attention=512, dropout=0.5, penalty=1.0, gate="channel"),
    min_count=6,
    max_words=50,
    beam=5,
)
config = Transfer(
    task=task,
    recipe=Recipe(epochs=20, batch_size=80, optimizer=AdamW(lr=4e-4), clip_value=5.0),  # AdamW without decay is Adam
    workers=8,
)
