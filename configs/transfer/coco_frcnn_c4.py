"""Faster R-CNN (C4) on COCO 2017, train to val: detectron2's "1x".

Source: detectron2 (02b5c4e), configs/COCO-Detection/faster_rcnn_R_50_C4_1x.yaml and Base-RCNN-C4.yaml. As `coco_frcnn`
(data, sizes, schedule, scoring) with the network of `voc_frcnn_zoo_c4`. C4 is the form of the paper's VOC code, so it
is the other guess at what stands behind the authors' numbers in issue 13.
Arithmetic: 90,000 x 16 / 117,266 images with an object = 12.3 epochs.
Command: `python -m transfer configs/transfer/coco_frcnn_c4.py --backbone RUN --data-root FOLDER`
Expected: AP 35.7 (the zoo). By issue 13: baseline 33.27, Mixup 34.18, Cutout 34.28, CutMix 35.16.
"""

from dataclasses import replace

from configs.transfer.coco_frcnn import config as fpn
from configs.transfer.voc_frcnn_zoo_c4 import config as c4
from transfer.tasks.faster_rcnn import FasterRCNN

assert isinstance(fpn.task, FasterRCNN)
assert isinstance(c4.task, FasterRCNN)
config = replace(
    fpn, task=replace(fpn.task, neck=c4.task.neck, candidates=c4.task.candidates, proposals=c4.task.proposals)
)
