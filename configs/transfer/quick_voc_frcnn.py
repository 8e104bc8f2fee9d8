"""Faster R-CNN with a small FPN on the synthetic world's VOC, 128 px: a column of the table `quick`.

Source: ours; torchvision's parts, trimmed (FPN of 64 channels on layers 2-4, 64 proposals); nothing is the paper's.
Command: `python -m transfer configs/transfer/quick_voc_frcnn.py --backbone runs/pretrain/quick_baseline/seed0`
Expected: see the table in README.
"""

from core.data.synthetic import World
from core.data.voc import VOC
from core.recipe import AdamW, Cosine, Recipe
from transfer.stage import Transfer
from transfer.tasks.detection.data import Fit
from transfer.tasks.faster_rcnn import FPN, FasterRCNN

config = Transfer(
    world=World(),
    task=FasterRCNN(
        data=VOC(train=(("2007", "trainval"),)),
        neck=FPN(64, (2, 3, 4), extra_level=False, anchor_scale=4, canonical_side=64, head_width=256),
        size=Fit(112, 128),
        freeze_at=0,
        norms_frozen=False,
        anchors_per_image=64,
        regions_per_image=64,
        candidates=(256, 128),
        proposals=(64, 64),
        score_threshold=0.02,
        detections=50,
        cache_images=True,
    ),
    recipe=Recipe(
        epochs=5,
        batch_size=8,
        lr_batch=8,
        optimizer=AdamW(lr=2e-3, weight_decay=1e-4),
        schedule=Cosine(),
        warmup_steps=20,
        clip_norm=10.0,
    ),
    precision="32-true",
)
