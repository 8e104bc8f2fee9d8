"""Faster R-CNN with a feature pyramid on Pascal VOC, by detectron2's config: the C4 one's schedule.

Source: detectron2 (02b5c4e), configs/PascalVOC-Detection/faster_rcnn_R_50_FPN.yaml and Base-RCNN-FPN.yaml. As
`voc_frcnn_zoo_c4` but for the neck: 256 channels, one size of anchors a level (32 to 512 pixels), regions of 7 x 7 and
two linear layers of 1,024; candidates 2,000 and 1,000 a level, 1,000 proposals. About a quarter of C4's time a step.
Arithmetic: 18,000 x 16 / 16,551 images = 17.4 epochs.
Command: `python -m transfer configs/transfer/voc_frcnn_zoo_fpn.py --backbone RUN --data-root FOLDER`
Expected: none published; the zoo lists C4's alone (AP50 80.3, AP 51.9).
"""

from dataclasses import replace

from configs.transfer.voc_frcnn_zoo_c4 import config as c4
from transfer.tasks.faster_rcnn import FPN, FasterRCNN

assert isinstance(c4.task, FasterRCNN)
config = replace(
    c4,
    task=replace(
        c4.task, neck=FPN(aligned=True, sampling_ratio=0), candidates=(2_000, 1_000), proposals=(1_000, 1_000)
    ),
)
