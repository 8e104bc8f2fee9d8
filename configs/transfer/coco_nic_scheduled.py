"""NIC on COCO in Karpathy's split with scheduled sampling and a falling learning rate, the encoder frozen.

Source: ruotianluo/ImageCaptioning.pytorch at 4c48a33: ShowTellModel.py, README.md and configs/fc.yml: embedding and
LSTM 512, no batch normalisation of the image's embedding, dropout .5, Adam 5e-4 times .8 every 3 epochs, gradients'
values clipped at .1, 30 epochs of 10 images x 5 captions, words that occur more than 5 times, captions of 16 words; an
input word is drawn from the model with a probability that grows by .05 every 5 epochs up to .25; beam 5.
Different here: that code's features are ResNet-101's of whole images at their own size, here whole images of 224 x
224; its LSTM has no biases; its vocabulary counts val's and test's captions too; its batches hold all captions of ten
images, here 50 captions of any; it searches for up to 20 words, here 16.
Arithmetic: 566,747 captions / 50 = 11,334 steps an epoch (there 113,287 / 10 = 11,329), 340,020 in all.
Command: `python -m transfer configs/transfer/coco_nic_scheduled.py --backbone RUN --data-root FOLDER`
Expected: CIDEr 95.3, SPICE 17.9 there: of the model FC (`newfc`, another LSTM), best checkpoint on val, ResNet-101; no
BLEU-4 is printed, and no number of ShowTell itself.
"""

from core.data.karpathy import Karpathy
from core.recipe import AdamW, Every, Recipe
from transfer.stage import Transfer
from transfer.tasks.captioning.nic import NIC
from transfer.tasks.captioning.objective import ScheduledSampling
from transfer.tasks.captioning.task import Captioning

config = Transfer(
    task=Captioning(
        data=Karpathy(),
        test_split="test",
        resize=224,
        crop=224,
        decoder=NIC(embed=512, hidden=512, dropout=0.5, norm=False),
        sampling=ScheduledSampling(most=0.25, step=0.05, every=5.0),
        min_count=6,
        max_words=16,
        beam=5,
    ),
    recipe=Recipe(
        epochs=30,
        batch_size=50,
        optimizer=AdamW(lr=5e-4),  # AdamW without decay is Adam
        schedule=Every(period=3.0, gamma=0.8),
        clip_value=0.1,
    ),
    workers=8,
)
