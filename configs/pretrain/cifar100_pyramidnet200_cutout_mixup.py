"""PyramidNet-200 on CIFAR-100 with Cutout and Mixup: a row of the paper's table 5.

Source: CutMix (arXiv 1905.04899v2), table 5: a square of 16 x 16 pixels, alpha 1; everything else as in
`cifar100_pyramidnet200_baseline`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_cutout_mixup.py --data-root FOLDER`
Expected top-1 / top-5 error: 15.46 / 3.42 (table 5; the mean over three runs of the best epoch, which `more` holds
beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline
from pretrain.mixing.chain import Chain
from pretrain.mixing.cutout import Cutout
from pretrain.mixing.mixup import Mixup

config = replace(baseline, mixing=Chain((Cutout(share=0.5), Mixup(alpha=1.0))))
