"""SSD300 on Pascal VOC, 07+12 trainval to 07 test, by the paper's protocol.

Source: CutMix (arXiv 1905.04899v2), section 4.3, appendix C and table 10: SSD300 of amdegroot/ssd.pytorch with VGG's
conv4_3 replaced by ResNet-50's layer2; batch 32, learning rate 1e-3, 120,000 steps, divided by 10 at 80,000 and
100,000. From that code (train.py, data/config.py, ssd.py): momentum .9, weight decay 5e-4, no warm-up, no clipping;
300 x 300 images, VOC's default boxes (30 to 315 pixels), the first map's vectors at length 20, 3 negatives for each
positive; scores above .01, NMS at .45 among the 200 best of a class, no limit over the classes (its top 200 of an
image acts on a copy), objects marked difficult left out of training; crops without an overlap to reach
(`overlaps`), as that code's test never refuses one.
Not stated in the paper: the mode of BatchNorm (trained here, at 32 images a batch) and which of ResNet's further
stages are read (layer3, layer4 and three extra blocks here, which give the original's 8732 boxes).
Different here: images are normalised by the backbone's mean and deviation (there minus 104, 117, 123); detections are
cut at the image's edge.
Arithmetic: 5,011 + 11,540 = 16,551 images; 120,000 x 32 = 3.84 M images = 232 epochs. 4,000 detections = 20 x 200.
Command: `python -m transfer configs/transfer/voc_ssd.py --backbone RUN --data-root FOLDER`
Expected mAP (11-point, IoU > .5): baseline 76.7, Mixup 76.6, Cutout 76.8, CutMix 77.6, by that code's evaluator (boxes
without the inclusive pixel, objects moved by one), which is the one that scores here.
"""

from core.recipe import SGD, Recipe, Steps
from transfer.stage import Transfer
from transfer.tasks.detection.augmentation import SSDAugmentation
from transfer.tasks.detection.scoring import VocScoring
from transfer.tasks.ssd import SSD

config = Transfer(
    task=SSD(
        freeze_at=0,
        norms_frozen=False,
        keep_difficult=False,
        score_threshold=0.01,
        nms_iou=0.45,
        candidates=200,
        augmentation=SSDAugmentation(overlaps=(0.0, 0.0, 0.0, 0.0, 0.0, 1.0)),
        detections=4_000,
        scoring=VocScoring(semantics="ssd.pytorch"),
    ),
    recipe=Recipe(
        steps=120_000,
        batch_size=32,
        lr_batch=32,
        scale_steps=True,
        optimizer=SGD(lr=1e-3, momentum=0.9, weight_decay=5e-4),
        schedule=Steps(at=(80_000, 100_000)),
        clip_norm=None,
    ),
    precision="32-true",
    test_batch_size=32,
    workers=8,
)
