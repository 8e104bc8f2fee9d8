"""Faster R-CNN (C4) on Pascal VOC as MoCo's authors transfer to it: the usual protocol for comparing pretrainings.

Source: facebookresearch/moco at 7397dfe, detection/configs/pascal_voc_R_50_C4_24k_moco.yaml and Base-RCNN-C4-BN.yaml,
on detectron2 (02b5c4e) and its defaults. Every part of the network is trained, batch norms over all GPUs; one more
batch norm follows layer4; at the end 200 batches re-estimate the norms' statistics. 24,000 steps of 16 images at .02,
divided by 10 at 18,000 and 22,000, warm-up of 100 steps; momentum .9, weight decay 1e-4, none on norms. Short side
480, 512, ..., 800 in training, 800 in the test, long side at most 1333; batches of one orientation; flips. Inherited:
anchors of 32 to 512 pixels; 256 anchors and 512 regions an image, a quarter of these objects; 12,000 and 6,000
candidates, NMS at .7, 2,000 and 1,000 proposals; regions of 14 x 14 by RoI align from pixels' centres; L1 for boxes;
score above .05, NMS at .5, 100 detections; difficult objects learned from.
Different here: their warm-up is a step behind ours (a thousandth of .02 at the first step, here a hundredth).
Arithmetic: 24,000 x 16 / 16,551 images = 23.2 epochs.
Command: `python -m transfer configs/transfer/voc_frcnn_moco.py --backbone RUN --data-root FOLDER`; on eight GPUs
`torchrun --nproc-per-node 8 -m transfer -- configs/...`. On fewer add `--recipe.batch-size 8`: half the rate, twice the
steps (docs/detection.md).
Expected: ImageNet-supervised ResNet-50 AP50 81.3, AP 53.5, AP75 58.8, means of 5 trials whose standard deviations are
.2, .2 and .4; five trials are recommended. By detectron2's evaluator.
"""

from core.recipe import SGD, Recipe, Steps
from transfer.stage import Transfer
from transfer.tasks.detection.data import Fit
from transfer.tasks.faster_rcnn import C4, FasterRCNN

config = Transfer(
    task=FasterRCNN(
        neck=C4(anchors=(32, 64, 128, 256, 512), roi_size=14, extra_norm=True, aligned=True, sampling_ratio=0),
        size=Fit(800, 1333),
        train_shorts=(480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800),
        group_by_aspect=True,
        freeze_at=0,
        norms_frozen=False,
        precise_bn=200,
        keep_difficult=True,
        decay_norms=False,
        anchors_per_image=256,
        regions_per_image=512,
        candidates=(12_000, 6_000),
        proposals=(2_000, 1_000),
        proposal_beta=0.0,
        box_beta=0.0,
        score_threshold=0.05,
        nms_iou=0.5,
        detections=100,
    ),
    recipe=Recipe(
        steps=24_000,
        batch_size=16,
        lr_batch=16,
        scale_steps=True,
        optimizer=SGD(lr=0.02, momentum=0.9, weight_decay=1e-4),
        schedule=Steps(at=(18_000, 22_000)),
        warmup_steps=100,
        clip_norm=None,
        sync_batchnorm=True,
    ),
    precision="32-true",
    test_batch_size=8,
    workers=8,
)
