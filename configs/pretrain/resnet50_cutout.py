"""ResNet-50 on ImageNet with Cutout, 300 epochs: a row of the paper's tables.

Source: CutMix (arXiv 1905.04899v2), table 3: a square of 112 x 112 pixels (half of the side of 224),
uniform place; everything else as in `resnet50_baseline`.
Command: `python -m pretrain configs/pretrain/resnet50_cutout.py --data-root FOLDER`
Expected top-1 / top-5 error: 22.93 / 6.66 (the best epoch, which `more` holds beside the last).
"""

from dataclasses import replace

from configs.pretrain.resnet50_baseline import config as baseline
from pretrain.mixing.cutout import Cutout

config = replace(baseline, mixing=Cutout(share=0.5))
