"""PyramidNet-200 on CIFAR-100 with fixed-size CutMix: an ablation of the paper.

Source: CutMix (arXiv 1905.04899v2), table 8: a box of 16 x 16 of 32 pixels; everything else as in
`cifar100_pyramidnet200_cutmix`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_cutmix_fixed.py --data-root FOLDER`
Expected top-1 / top-5 error: 14.97 / 3.15 (table 8; the mean over three runs of the best epoch, which `more` holds
beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline
from pretrain.mixing.cutmix_fixed import FixedSizeCutMix

config = replace(baseline, mixing=FixedSizeCutMix(share=0.5, probability=0.5))
