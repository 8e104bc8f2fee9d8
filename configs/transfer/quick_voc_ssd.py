"""SSD on the synthetic world's VOC, 128 px: a column of the table `quick`.

Source: ours; SSD (`transfer/tasks/ssd.py`) with fewer maps and smaller boxes, nothing here is the paper's.
Command: `python -m transfer configs/transfer/quick_voc_ssd.py --backbone runs/pretrain/quick_baseline/seed0`
Expected: see the table in README.
"""

from core.data.synthetic import World
from core.data.voc import VOC
from core.recipe import AdamW, Cosine, Recipe
from transfer.stage import Transfer
from transfer.tasks.detection.augmentation import SSDAugmentation
from transfer.tasks.ssd import SSD

config = Transfer(
    world=World(),
    task=SSD(
        data=VOC(train=(("2007", "trainval"),)),
        side=128,
        extras=(64, 64),
        scales=(0.12, 0.24, 0.42, 0.6, 0.8, 1.0),
        ratios=((2,), (2,), (2,), (2,), (2,)),
        steps=None,
        extra_norms=True,
        detections=50,
        first_scale=None,
        augmentation=SSDAugmentation(colours=False, zoom=1.0),
        cache_images=True,
    ),
    recipe=Recipe(
        epochs=10,
        batch_size=16,
        lr_batch=16,
        optimizer=AdamW(lr=3e-3, weight_decay=1e-4),
        schedule=Cosine(),
        warmup_steps=20,
        clip_norm=10.0,
    ),
    precision="32-true",
)
