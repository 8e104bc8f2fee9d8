"""ResNet-152 on ImageNet with CutMix, 300 epochs.

Source: README of clovaai/CutMix-PyTorch at commit 2d8eb68; everything else as in `resnet50_cutmix`.
Command: `python -m pretrain configs/pretrain/imagenet_resnet152_cutmix.py --data-root FOLDER`
Expected top-1 error: 19.20 (the authors' README; not in the paper).
"""

from dataclasses import replace

from configs.pretrain.resnet50_cutmix import config as baseline

config = replace(baseline, architecture="timm:resnet152")
