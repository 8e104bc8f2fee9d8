"""ResNet-50 on ImageNet in 100 epochs, for today's GPUs: the baseline of a short recipe of ours.

Source: ours; nothing here is the paper's. Batch 1024, learning rate .5 for each 256 images (2.0), 5 epochs of warm-up
and a cosine to 0 (Goyal et al., arXiv 1706.02677; Loshchilov & Hutter, arXiv 1608.03983), weight decay 5e-5, label
smoothing .1, bfloat16, torch.compile; the last norm of each block starts at 0. Rows with a mixing change nothing else.
1,281,167 images / 1,024 = 1,251 whole batches an epoch; 5 epochs are 6,255 steps.
Command: `python -m pretrain configs/pretrain/resnet50_short_baseline.py --data-root FOLDER`
Expected: not measured. FFCV's ResNet-50, a recipe of this kind, gets 78.4 % top-1 in 88 epochs at 160 to 192 pixels.
"""

from core.data.imagenet import ImageNet
from core.recipe import SGD, Cosine, Recipe
from pretrain.augmentation import RandomResizedCrop
from pretrain.mixing.none import NoMixing
from pretrain.stage import Pretrain

config = Pretrain(
    data=ImageNet(),
    architecture="timm:resnet50",
    image_size=224,
    resize=256,
    augmentation=RandomResizedCrop(),
    mixing=NoMixing(),
    label_smoothing=0.1,
    recipe=Recipe(
        epochs=100,
        batch_size=1024,
        optimizer=SGD(lr=0.5, momentum=0.9, weight_decay=5e-5, nesterov=True),
        lr_batch=256,
        schedule=Cosine(),
        warmup_steps=6255,
    ),
    precision="bf16-mixed",
    compile=True,
    workers=16,
)
