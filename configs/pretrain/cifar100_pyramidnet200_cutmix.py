"""PyramidNet-200 on CIFAR-100 with CutMix: a row of the paper's table 5.

Source: CutMix (arXiv 1905.04899v2), table 5: alpha 1; on half of the batches, which is the authors' command for
CIFAR-100 (README of clovaai/CutMix-PyTorch); everything else as in `cifar100_pyramidnet200_baseline`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_cutmix.py --data-root FOLDER`
Expected top-1 / top-5 error: 14.47 / 2.97 (table 5; the mean over three runs of the best epoch, which `more` holds
beside the last; their last epochs' mean is 15.07, by issue 36 there). Others' five runs: best 14.96, last 15.91 (issue
7).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline
from pretrain.mixing.cutmix import CutMix

config = replace(baseline, mixing=CutMix(alpha=1.0, probability=0.5))
