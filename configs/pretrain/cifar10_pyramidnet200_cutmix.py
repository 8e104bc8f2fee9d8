"""PyramidNet-200 on CIFAR-10 with CutMix: a row of the paper's table 7.

Source: CutMix (arXiv 1905.04899v2), table 7: alpha 1, on half of the batches as on CIFAR-100; everything else as in
`cifar10_pyramidnet200_baseline`.
Command: `python -m pretrain configs/pretrain/cifar10_pyramidnet200_cutmix.py --data-root FOLDER`
Expected top-1 error: 2.88 (table 7; the mean over three runs of the best epoch, which `more` holds beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar10_pyramidnet200_baseline import config as baseline
from pretrain.mixing.cutmix import CutMix

config = replace(baseline, mixing=CutMix(alpha=1.0, probability=0.5))
