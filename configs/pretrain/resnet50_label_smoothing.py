"""ResNet-50 on ImageNet with label smoothing, 300 epochs.

Source: Szegedy et al. (arXiv 1512.00567), section 7: share .1; everything else as in `resnet50_baseline`. The CutMix
paper has this row on CIFAR-100 only.
Command: `python -m pretrain configs/pretrain/resnet50_label_smoothing.py --data-root FOLDER`
Expected: no published number for this training.
"""

from dataclasses import replace

from configs.pretrain.resnet50_baseline import config as baseline

config = replace(baseline, label_smoothing=0.1)
