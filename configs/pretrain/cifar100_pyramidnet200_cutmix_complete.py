"""PyramidNet-200 on CIFAR-100 with complete-label CutMix: an ablation of the paper.

Source: CutMix (arXiv 1905.04899v2), table 8: both labels count .5, whatever the box's size; everything else as in
`cifar100_pyramidnet200_cutmix`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_cutmix_complete.py --data-root FOLDER`
Expected top-1 / top-5 error: 15.17 / 3.10 (table 8; the mean over three runs of the best epoch, which `more` holds
beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline
from pretrain.mixing.cutmix_complete import CompleteLabelCutMix

config = replace(baseline, mixing=CompleteLabelCutMix(alpha=1.0, probability=0.5))
