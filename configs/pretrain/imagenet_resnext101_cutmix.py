"""ResNeXt-101 (32x4d) on ImageNet with CutMix, 300 epochs: a row of the paper's table 4.

Source: CutMix (arXiv 1905.04899v2), table 4: alpha 1, every batch; everything else as in
`imagenet_resnext101_baseline`.
Command: `python -m pretrain configs/pretrain/imagenet_resnext101_cutmix.py --data-root FOLDER`
Expected top-1 / top-5 error: 19.47 / 5.03 (the best epoch, which `more` holds beside the last).
"""

from dataclasses import replace

from configs.pretrain.imagenet_resnext101_baseline import config as baseline
from pretrain.mixing.cutmix import CutMix

config = replace(baseline, mixing=CutMix(alpha=1.0))
