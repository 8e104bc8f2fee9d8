"""PyramidNet-110 (alpha 64) on CIFAR-100: the baseline of the paper's table 6.

Source: CutMix (arXiv 1905.04899v2), table 6: 1,725,300 parameters, with bottlenecks, the default of the authors' code
(issues 39 and 40 of clovaai/CutMix-PyTorch); everything else as in `cifar100_pyramidnet200_baseline`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet110_baseline.py --data-root FOLDER`
Expected top-1 / top-5 error: 19.85 / 4.66 (table 6; the mean over three runs of the best epoch, which `more` holds
beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as larger

config = replace(larger, kwargs={"depth": 110, "alpha": 64.0})
