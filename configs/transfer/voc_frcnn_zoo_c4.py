"""Faster R-CNN (C4) on Pascal VOC as in detectron2's model zoo: frozen batch norms, 18,000 steps.

Source: detectron2 (02b5c4e), configs/PascalVOC-Detection/faster_rcnn_R_50_C4.yaml and Base-RCNN-C4.yaml. As
`voc_frcnn_moco` but for: batch norms as pretraining left them, stem and layer1 fixed, no norm after layer4; 18,000
steps, divided by 10 at 12,000 and 16,000.
Different here: the zoo starts from MSRA's ResNet-50 (BGR, no division by a deviation, stride in the first 1 x 1
convolution); here the backbone's own mean, deviation and strides hold, the stride of torchvision's and ours in the
3 x 3.
Arithmetic: 18,000 x 16 / 16,551 images = 17.4 epochs.
Command: `python -m transfer configs/transfer/voc_frcnn_zoo_c4.py --backbone RUN --data-root FOLDER`
Expected: AP50 80.3, AP 51.9 (MODEL_ZOO.md, its evaluator).
"""

from dataclasses import replace

from configs.transfer.voc_frcnn_moco import config as moco
from core.recipe import Steps
from transfer.tasks.faster_rcnn import C4, FasterRCNN

assert isinstance(moco.task, FasterRCNN)
assert isinstance(moco.task.neck, C4)
assert moco.recipe is not None
config = replace(
    moco,
    task=replace(
        moco.task, neck=replace(moco.task.neck, extra_norm=False), freeze_at=2, norms_frozen=True, precise_bn=0
    ),
    recipe=replace(moco.recipe, steps=18_000, schedule=Steps(at=(12_000, 16_000)), sync_batchnorm=False),
)
