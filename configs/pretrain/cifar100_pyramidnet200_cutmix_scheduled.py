"""PyramidNet-200 on CIFAR-100 with scheduled CutMix: an ablation of the paper.

Source: CutMix (arXiv 1905.04899v2), table 8: the share of mixed batches grows linearly from 0 to 1; everything else as
in `cifar100_pyramidnet200_cutmix`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_cutmix_scheduled.py --data-root FOLDER`
Expected top-1 / top-5 error: 14.72 / 3.17 (table 8; the mean over three runs of the best epoch, which `more` holds
beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline
from pretrain.mixing.cutmix_scheduled import ScheduledCutMix

config = replace(baseline, mixing=ScheduledCutMix(alpha=1.0, probability=1.0))
