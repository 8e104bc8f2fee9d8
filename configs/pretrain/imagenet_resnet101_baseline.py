"""ResNet-101 on ImageNet, 300 epochs: the baseline of the paper's table 4.

Source: CutMix (arXiv 1905.04899v2), table 4; everything else as in `resnet50_baseline`.
Command: `python -m pretrain configs/pretrain/imagenet_resnet101_baseline.py --data-root FOLDER`
Expected top-1 / top-5 error: 21.87 / 6.29 (the best epoch, which `more` holds beside the last).
"""

from dataclasses import replace

from configs.pretrain.resnet50_baseline import config as baseline

config = replace(baseline, architecture="timm:resnet101")
