"""Faster R-CNN (C4) on Pascal VOC, 07+12 trainval to 07 test, by the paper's protocol.

Source: CutMix (arXiv 1905.04899v2), section 4.3, appendix C and table 10: jwyang/faster-rcnn.pytorch with ResNet-50;
batch 8, learning rate .01, 120,000 steps, divided by 10 at 100,000. From that code (cfgs/res50.yml, lib/model/utils/
config.py, trainval_net.py): short side 600, at most 1000; flips; layer1 to layer3 below, layer4 on regions of 7 x 7;
all BatchNorm frozen; stem and layer1 fixed; momentum .9; weight decay 1e-4, none on biases; anchors of 128, 256, 512
pixels; proposals' convolution 512 wide; 256 anchors and 256 regions an image, a quarter of these objects; smooth L1
with sigma 3 for proposals (turning at 1/9) and 1 for boxes (at 1); 12,000 and 6,000 candidates, NMS at .7, 2,000 and
300 proposals; NMS at .3, no least score, 100 detections; no warm-up, no clipping (VGG alone is clipped there). Objects
marked difficult are learned from too (the filter is commented out there), and so is no least size of proposals kept.
The paper itself gives no image size, anchors or BatchNorm mode.
Different here: RoI align for crop-and-resize with max pooling; batches of one orientation, where that code takes
neighbours in aspect ratio and crops images wider than 2:1; all objects of an image, where it takes 20; anchors about a
cell's first corner (there its middle, 7.5 pixels on) with sides of 128, 182 x 90, ... (there 128, 184 x 96, ...).
Arithmetic: 16,551 images; 120,000 x 8 = 0.96 M images = 58 epochs.
Command: `python -m transfer configs/transfer/voc_frcnn.py --backbone RUN --data-root FOLDER`
Expected mAP (11-point, IoU > .5): baseline 75.6, Mixup 73.9, Cutout 75.0 (75.1 in the paper's table 1), CutMix 76.7,
by that code's evaluator (py-faster-rcnn's), which is the one that scores here.
"""

from core.recipe import SGD, Recipe, Steps
from transfer.stage import Transfer
from transfer.tasks.detection.data import Fit
from transfer.tasks.detection.scoring import VocScoring
from transfer.tasks.faster_rcnn import C4, FasterRCNN

config = Transfer(
    task=FasterRCNN(
        neck=C4(anchors=(128, 256, 512), roi_size=7),
        size=Fit(600, 1000),
        group_by_aspect=True,
        scoring=VocScoring(semantics="py-faster-rcnn"),
        freeze_at=2,
        norms_frozen=True,
        keep_difficult=True,
        decay_biases=False,
        anchors_per_image=256,
        regions_per_image=256,
        candidates=(12_000, 6_000),
        proposals=(2_000, 300),
        proposal_channels=512,
        proposal_beta=1 / 9,
        box_beta=1.0,
        score_threshold=0.0,
        nms_iou=0.3,
        detections=100,
    ),
    recipe=Recipe(
        steps=120_000,
        batch_size=8,
        lr_batch=8,
        scale_steps=True,
        optimizer=SGD(lr=0.01, momentum=0.9, weight_decay=1e-4),
        schedule=Steps(at=(100_000,)),
        clip_norm=None,
    ),
    precision="32-true",
    test_batch_size=8,
    workers=8,
)
