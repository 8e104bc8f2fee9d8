"""Faster R-CNN with a small FPN on 300 real VOC images, tested on 200, short side 112: a column of `real_mini`.

Source: ours; torchvision's parts, trimmed (FPN of 64 channels on layers 2-4, 64 proposals); nothing is the paper's.
Command: `python -m transfer configs/transfer/mini_voc_frcnn.py --backbone RUN --data-root FOLDER`
Expected: docs/real_mini.md. 300 images show that the way works, not what a method is worth.
"""

from core.data.voc import VOC
from core.recipe import AdamW, Cosine, Recipe
from transfer.stage import Transfer
from transfer.tasks.detection.data import Fit
from transfer.tasks.faster_rcnn import FPN, FasterRCNN

config = Transfer(
    task=FasterRCNN(
        data=VOC(train=(("2007", "trainval"),)),
        neck=FPN(64, (2, 3, 4), extra_level=False, anchor_scale=4, canonical_side=64, head_width=256),
        size=Fit(112, 150),
        freeze_at=0,
        norms_frozen=False,
        anchors_per_image=64,
        regions_per_image=64,
        candidates=(256, 128),
        proposals=(64, 64),
        score_threshold=0.02,
        cache_images=True,
    ),
    recipe=Recipe(
        epochs=22,
        batch_size=6,
        lr_batch=6,
        optimizer=AdamW(lr=2e-3, weight_decay=1e-4),
        schedule=Cosine(),
        warmup_steps=20,
        clip_norm=10.0,
    ),
    precision="32-true",
)
