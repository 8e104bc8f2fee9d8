"""SSD on 300 real VOC images, tested on 200, 160 px: a column of the table `real_mini`.

Source: ours; SSD's form and crops, a milder zoom, colours as they are; nothing here is the paper's recipe.
Command: `python -m transfer configs/transfer/mini_voc_ssd.py --backbone RUN --data-root FOLDER`
Expected: docs/real_mini.md. 300 images show that the way works, not what a method is worth.
"""

from core.data.voc import VOC
from core.recipe import AdamW, Cosine, Recipe
from transfer.stage import Transfer
from transfer.tasks.detection.augmentation import SSDAugmentation
from transfer.tasks.ssd import SSD

config = Transfer(
    task=SSD(
        data=VOC(train=(("2007", "trainval"),)),
        side=160,
        extras=(64, 64),
        scales=(0.08, 0.18, 0.36, 0.56, 0.78, 1.0),
        ratios=((2,), (2, 3), (2, 3), (2, 3), (2,)),
        steps=None,
        first_scale=None,
        extra_norms=True,
        augmentation=SSDAugmentation(colours=False, zoom=1.5),
        cache_images=True,
    ),
    recipe=Recipe(
        epochs=30,
        batch_size=16,
        lr_batch=16,
        optimizer=AdamW(lr=3e-3, weight_decay=1e-4),
        schedule=Cosine(),
        warmup_steps=20,
        clip_norm=10.0,
    ),
    precision="32-true",
)
