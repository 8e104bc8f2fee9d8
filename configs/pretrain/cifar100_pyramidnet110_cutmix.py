"""PyramidNet-110 (alpha 64) on CIFAR-100 with CutMix: a row of the paper's table 6.

Source: CutMix (arXiv 1905.04899v2), table 6: alpha 1; on half of the batches, the authors' command for CIFAR-100;
everything else as in `cifar100_pyramidnet110_baseline`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet110_cutmix.py --data-root FOLDER`
Expected top-1 / top-5 error: 17.97 / 3.83 (table 6; the mean over three runs of the best epoch, which `more` holds
beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet110_baseline import config as baseline
from pretrain.mixing.cutmix import CutMix

config = replace(baseline, mixing=CutMix(alpha=1.0, probability=0.5))
