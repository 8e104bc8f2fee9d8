"""PyramidNet-200 on CIFAR-100 with CutMix and ShakeDrop: a row of the paper's table 5.

Source: CutMix (arXiv 1905.04899v2), table 5: as `cifar100_pyramidnet200_cutmix` and `cifar100_pyramidnet200_shakedrop`;
everything else as in `cifar100_pyramidnet200_baseline`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_cutmix_shakedrop.py --data-root FOLDER`
Expected top-1 / top-5 error: 13.81 / 2.29 (table 5; the mean over three runs of the best epoch, which `more` holds
beside the last). Others' five runs: last 14.02 (issue 7 of clovaai/CutMix-PyTorch).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline
from pretrain.mixing.cutmix import CutMix

config = replace(baseline, mixing=CutMix(alpha=1.0, probability=0.5), kwargs={**baseline.kwargs, "shakedrop": 0.5})
