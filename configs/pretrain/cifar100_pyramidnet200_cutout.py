"""PyramidNet-200 on CIFAR-100 with Cutout: a row of the paper's table 5.

Source: CutMix (arXiv 1905.04899v2), table 5: a square of 16 x 16 of 32 pixels, at a uniform place; everything else as
in `cifar100_pyramidnet200_baseline`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_cutout.py --data-root FOLDER`
Expected top-1 / top-5 error: 16.53 / 3.65 (table 5; the mean over three runs of the best epoch, which `more` holds
beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline
from pretrain.mixing.cutout import Cutout

config = replace(baseline, mixing=Cutout(share=0.5))
