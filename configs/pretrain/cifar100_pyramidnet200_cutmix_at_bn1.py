"""PyramidNet-200 on CIFAR-100 with CutMix at bn1: an ablation of the paper.

Source: CutMix (arXiv 1905.04899v2), figure 3 right: mixed after the first convolution and norm instead of at the input;
everything else as in `cifar100_pyramidnet200_cutmix`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_cutmix_at_bn1.py --data-root FOLDER`
Expected: no published number but a plot: below the baseline's 16.45, above the input's 14.47.
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline
from pretrain.mixing.at_layers import AtLayers
from pretrain.mixing.cutmix import CutMix

config = replace(baseline, mixing=AtLayers(CutMix(alpha=1.0, probability=0.5), sites=("bn1",)))
