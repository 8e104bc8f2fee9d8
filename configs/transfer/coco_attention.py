"""Show, Attend and Tell with soft attention on COCO in Karpathy's split, the encoder fine-tuned from epoch 13.

Source: `coco_attention_frozen`'s (sgrvinod/a-PyTorch-Tutorial-to-Image-Captioning at cc9c7e2, README's "Training"):
layer2 to layer4 are trained, at a learning rate of 1e-4, from the 13th epoch's weights on, for about three epochs.
Different here: also what differs in `coco_attention_frozen`; batches of 80 as before (there 32); the encoder's batch
norms keep their statistics (there they train).
Arithmetic: 566,747 captions / 80 = 7,084 steps an epoch, 113,344 in all, the encoder's from step 92,092 on.
Command: `python -m transfer configs/transfer/coco_attention.py --backbone RUN --data-root FOLDER`; where memory is
short `--recipe.accumulate 4`.
Expected: BLEU-4 33.3 at beam 5 there (33.1 at 3, 30.3 greedily), which does not compare: ResNet-101, and a BLEU of
nltk on Karpathy's tokens with rare words of candidates and references replaced by one <unk>, which match each other.
By coco-caption, of a kindred recipe: 31.1, CIDEr 95.8 (aaronma2020/caption_zoo, train/softAtt: VGG-19, its own split).
"""

from dataclasses import replace

from configs.transfer.coco_attention_frozen import config as frozen
from configs.transfer.coco_attention_frozen import task as frozen_task

assert frozen.recipe is not None
task = replace(frozen_task, finetune_from=13, freeze_at=2, encoder_lr_scale=0.25)
config = replace(
    frozen,
    task=task,
    recipe=replace(frozen.recipe, epochs=16),
)
