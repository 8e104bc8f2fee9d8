"""PyramidNet-200 on CIFAR-100 with ShakeDrop: a row of the paper's table 5.

Source: CutMix (arXiv 1905.04899v2), table 5: no values are given, so ShakeDrop's own (arXiv 1802.02375): 1 - p grows
linearly to .5 at the last block; everything else as in `cifar100_pyramidnet200_baseline`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_shakedrop.py --data-root FOLDER`
Expected top-1 / top-5 error: 15.08 / 2.72 (table 5; the mean over three runs of the best epoch, which `more` holds
beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline

config = replace(baseline, kwargs={**baseline.kwargs, "shakedrop": 0.5})
