"""NIC with 512 units on COCO in Karpathy's split, the encoder fine-tuned from epoch 20.

Source: `coco_nic_512_frozen`'s (aaronma2020/caption_zoo at c8dc20a): from its epoch 21, counted from 1, the encoder is
trained with a learning rate of 1e-5, a fortieth of the decoder's 4e-4.
Different here: also what differs in `coco_nic_512_frozen`; the encoder's batch norms keep their statistics (there they
train); training goes on from epoch 20's weights with Adam's state (there from the best of 20, with a fresh Adam of
betas .8 and .999); 10 epochs follow (there until CIDEr has not risen for 11; how many these were is not said).
Arithmetic: 566,747 captions / 80 = 7,084 steps an epoch, 212,520 in all, the encoder's from step 141,680 on.
Command: `python -m transfer configs/transfer/coco_nic_512.py --backbone RUN --data-root FOLDER`
Expected: BLEU-4 30.0, METEOR 25.2, ROUGE_L 53.1, CIDEr 94.7 there (Inception v3).
"""

from dataclasses import replace

from configs.transfer.coco_nic_512_frozen import config as frozen
from configs.transfer.coco_nic_512_frozen import task as frozen_task

assert frozen.recipe is not None
task = replace(frozen_task, finetune_from=20, encoder_lr_scale=0.025)
config = replace(
    frozen,
    task=task,
    recipe=replace(frozen.recipe, epochs=30),
)
