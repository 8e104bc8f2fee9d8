"""Faster R-CNN (C4) on 300 real VOC images, tested on 200, short side 112: a column of `mini_detection`.

Source: ours; the form of `voc_frcnn_moco` (layer3 proposes, layer4 with one more norm is the head, all trained), made
small: anchors of 24, 48, 96 pixels, regions of 8 x 8, 16 of them an image; nothing else is MoCo's.
Command: `python -m transfer configs/transfer/mini_voc_c4.py --backbone RUN --data-root FOLDER`
Expected: 4 to 8 AP50, by seed and row. 300 images show that the way works, not what a method is worth.
"""

from core.data.voc import VOC
from core.recipe import AdamW, Cosine, Recipe
from transfer.stage import Transfer
from transfer.tasks.detection.data import Fit
from transfer.tasks.faster_rcnn import C4, FasterRCNN

config = Transfer(
    task=FasterRCNN(
        data=VOC(train=(("2007", "trainval"),)),
        neck=C4(anchors=(24, 48, 96), roi_size=8, extra_norm=True, aligned=True),
        size=Fit(112, 150),
        train_shorts=(96, 112, 128),
        group_by_aspect=True,
        freeze_at=0,
        norms_frozen=False,
        anchors_per_image=64,
        regions_per_image=16,
        candidates=(256, 128),
        proposals=(48, 32),
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
