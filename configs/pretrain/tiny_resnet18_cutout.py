"""ResNet-18 on Tiny-ImageNet with Cutout: a row of the table `tiny_imagenet`.

Source: ours; the paper trains nothing on this set. Cutout; everything else as in `tiny_resnet18_baseline`.
Command: `python -m pretrain configs/pretrain/tiny_resnet18_cutout.py --data-root FOLDER`
Expected: no published number.
"""

from dataclasses import replace

from configs.pretrain.tiny_resnet18_baseline import config as baseline
from pretrain.mixing.cutout import Cutout

config = replace(baseline, mixing=Cutout(share=0.5))
