"""ResNet-18 on Tiny-ImageNet with CutMix: a row of the table `tiny_imagenet`.

Source: ours; the paper trains nothing on this set. CutMix on half of the batches, as the authors do on CIFAR-100;
everything else as in `tiny_resnet18_baseline`.
Command: `python -m pretrain configs/pretrain/tiny_resnet18_cutmix.py --data-root FOLDER`
Expected: no published number.
"""

from dataclasses import replace

from configs.pretrain.tiny_resnet18_baseline import config as baseline
from pretrain.mixing.cutmix import CutMix

config = replace(baseline, mixing=CutMix(alpha=1.0, probability=0.5))
