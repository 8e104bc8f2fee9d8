"""Faster R-CNN with a feature pyramid on COCO 2017, train to val: detectron2's "1x".

Source: detectron2 (02b5c4e), configs/COCO-Detection/faster_rcnn_R_50_FPN_1x.yaml and Base-RCNN-FPN.yaml; the network
of `voc_frcnn_zoo_fpn`. 90,000 steps of 16 images at .02, divided by 10 at 60,000 and 80,000, warm-up of 1,000; short
side 640, 672, ..., 800 in training, 800 in the test; stem and layer1 fixed, batch norms as pretraining left them.
The CutMix paper has no COCO detection. Its authors gave four numbers for "Faster-RCNN, ResNet-50" in issue 13 of
clovaai/CutMix-PyTorch, and neither neck, scale nor schedule; their baseline lies below the zoo's C4 (35.7) and FPN
(37.9). So their differences to the baseline are what compares: Mixup +.91, Cutout +1.01, CutMix +1.89.
Different here: the zoo's backbone (see `voc_frcnn_zoo_c4`).
Arithmetic: 117,266 of 118,287 images have an object; 90,000 x 16 = 1.44 M images = 12.3 epochs of them.
Command: `torchrun --nproc-per-node 8 -m transfer -- configs/transfer/coco_frcnn.py --backbone RUN --data-root FOLDER`
Expected: AP 37.9 (the zoo). By issue 13: baseline 33.27, Mixup 34.18, Cutout 34.28, CutMix 35.16.
"""

from dataclasses import replace

from configs.transfer.voc_frcnn_zoo_fpn import config as voc
from core.data.coco_detection import CocoDetection
from core.recipe import Steps
from transfer.tasks.detection.scoring import CocoScoring
from transfer.tasks.faster_rcnn import FasterRCNN

assert isinstance(voc.task, FasterRCNN)
assert voc.recipe is not None
config = replace(
    voc,
    task=replace(
        voc.task,
        data=CocoDetection(),
        scoring=CocoScoring(),
        train_shorts=(640, 672, 704, 736, 768, 800),
        keep_difficult=False,
    ),
    recipe=replace(voc.recipe, steps=90_000, schedule=Steps(at=(60_000, 80_000)), warmup_steps=1_000),
)
