"""ResNeXt-101 (32x4d) on ImageNet with Cutout, 300 epochs.

Source: ours; the paper has no such row. 112 x 112 of 224 pixels; everything else as in `imagenet_resnext101_baseline`.
Command: `python -m pretrain configs/pretrain/imagenet_resnext101_cutout.py --data-root FOLDER`
Expected: no published number.
"""

from dataclasses import replace

from configs.pretrain.imagenet_resnext101_baseline import config as baseline
from pretrain.mixing.cutout import Cutout

config = replace(baseline, mixing=Cutout(share=0.5))
