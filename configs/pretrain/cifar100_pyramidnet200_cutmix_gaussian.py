"""PyramidNet-200 on CIFAR-100 with Center Gaussian CutMix: an ablation of the paper.

Source: CutMix (arXiv 1905.04899v2), table 8: the box's centre from a Gaussian at the image's centre, whose width is not
given; everything else as in `cifar100_pyramidnet200_cutmix`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_cutmix_gaussian.py --data-root FOLDER`
Expected top-1 / top-5 error: 15.95 / 3.40 (table 8; the mean over three runs of the best epoch, which `more` holds
beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline
from pretrain.mixing.cutmix_gaussian import CenterGaussianCutMix

config = replace(baseline, mixing=CenterGaussianCutMix(probability=0.5))
