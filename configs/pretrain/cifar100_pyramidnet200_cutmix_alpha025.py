"""PyramidNet-200 on CIFAR-100 with CutMix of alpha 0.25: an ablation of the paper.

Source: CutMix (arXiv 1905.04899v2), figure 3 left: alpha 0.25; everything else as in `cifar100_pyramidnet200_cutmix`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_cutmix_alpha025.py --data-root FOLDER`
Expected: no published number but a plot: below the baseline's 16.45, above alpha 1's 14.47.
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline
from pretrain.mixing.cutmix import CutMix

config = replace(baseline, mixing=CutMix(alpha=0.25, probability=0.5))
