"""ResNeXt-101 (32x4d) on ImageNet, 300 epochs: the baseline of the paper's table 4.

Source: CutMix (arXiv 1905.04899v2), table 4; everything else as in `resnet50_baseline`.
Command: `python -m pretrain configs/pretrain/imagenet_resnext101_baseline.py --data-root FOLDER`
Expected top-1 / top-5 error: 21.18 / 5.57 (the best epoch, which `more` holds beside the last).
"""

from dataclasses import replace

from configs.pretrain.resnet50_baseline import config as baseline

config = replace(baseline, architecture="timm:resnext101_32x4d")
