"""SSD on 300 real VOC images, tested on 200, 160 px: a column of the table `real_mini`.

Source: ours; SSD's form and augmentation, with fewer maps and a milder zoom; nothing here is the paper's recipe.
Command: `python -m transfer configs/transfer/mini_voc_ssd.py --backbone RUN --data-root FOLDER`
Expected: docs/real_mini.md. 300 images show that the way works, not what a method is worth.
"""

from core.data.voc import VOC
from core.recipe import AdamW, Cosine, Recipe
from transfer.stage import Transfer
from transfer.tasks.detection_data import SSDAugmentation
from transfer.tasks.ssd import SSD

config = Transfer(
    task=SSD(
        data=VOC(train=(("2007", "trainval"),)),
        side=160,
        extras=(64, 64, 64),
        scales=(0.08, 0.16, 0.33, 0.51, 0.69, 0.87, 1.05),
        ratios=((2,), (2, 3), (2, 3), (2, 3), (2,), (2,)),
        steps=None,
        first_scale=None,
        extra_norms=True,
        augmentation=SSDAugmentation(zoom=1.5),
        cache_images=True,
    ),
    recipe=Recipe(
        epochs=30,
        batch_size=16,
        optimizer=AdamW(lr=3e-3, weight_decay=1e-4),
        schedule=Cosine(),
        warmup_steps=20,
        clip_norm=10.0,
    ),
)
