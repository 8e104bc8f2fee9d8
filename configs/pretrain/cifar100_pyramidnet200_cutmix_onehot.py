"""PyramidNet-200 on CIFAR-100 with one-hot CutMix: an ablation of the paper.

Source: CutMix (arXiv 1905.04899v2), table 8: the label of the larger part alone; everything else as in
`cifar100_pyramidnet200_cutmix`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_cutmix_onehot.py --data-root FOLDER`
Expected top-1 / top-5 error: 15.89 / 3.32 (table 8; the mean over three runs of the best epoch, which `more` holds
beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline
from pretrain.mixing.cutmix_onehot import OneHotCutMix

config = replace(baseline, mixing=OneHotCutMix(alpha=1.0, probability=0.5))
