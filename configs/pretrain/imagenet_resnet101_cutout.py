"""ResNet-101 on ImageNet with Cutout, 300 epochs: a row of the paper's table 4.

Source: CutMix (arXiv 1905.04899v2), table 4: 112 x 112 of 224 pixels; everything else as in
`imagenet_resnet101_baseline`.
Command: `python -m pretrain configs/pretrain/imagenet_resnet101_cutout.py --data-root FOLDER`
Expected top-1 / top-5 error: 20.72 / 5.51 (the best epoch, which `more` holds beside the last).
"""

from dataclasses import replace

from configs.pretrain.imagenet_resnet101_baseline import config as baseline
from pretrain.mixing.cutout import Cutout

config = replace(baseline, mixing=Cutout(share=0.5))
