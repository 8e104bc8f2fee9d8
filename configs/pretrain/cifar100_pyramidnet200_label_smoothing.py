"""PyramidNet-200 on CIFAR-100 with label smoothing: a row of the paper's table 5.

Source: CutMix (arXiv 1905.04899v2), table 5: share .1; everything else as in `cifar100_pyramidnet200_baseline`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_label_smoothing.py --data-root FOLDER`
Expected top-1 / top-5 error: 16.73 / 3.37 (table 5; the mean over three runs of the best epoch, which `more` holds
beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline

config = replace(baseline, label_smoothing=0.1)
