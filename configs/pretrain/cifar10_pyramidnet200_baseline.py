"""PyramidNet-200 on CIFAR-10: the baseline of the paper's table 7.

Source: CutMix (arXiv 1905.04899v2), table 7: as on CIFAR-100, the authors' code normalises by the same mean and
deviation; 26,752,702 parameters; everything else as in `cifar100_pyramidnet200_baseline`.
Command: `python -m pretrain configs/pretrain/cifar10_pyramidnet200_baseline.py --data-root FOLDER`
Expected top-1 error: 3.85 (table 7; the mean over three runs of the best epoch, which `more` holds beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline
from core.data.cifar import CIFAR10

config = replace(baseline, data=CIFAR10())
