"""PyramidNet-200 on CIFAR-10 with Cutout: a row of the paper's table 7.

Source: CutMix (arXiv 1905.04899v2), table 7: a square of 16 x 16 pixels; everything else as in
`cifar10_pyramidnet200_baseline`.
Command: `python -m pretrain configs/pretrain/cifar10_pyramidnet200_cutout.py --data-root FOLDER`
Expected top-1 error: 3.10 (table 7; the mean over three runs of the best epoch, which `more` holds beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar10_pyramidnet200_baseline import config as baseline
from pretrain.mixing.cutout import Cutout

config = replace(baseline, mixing=Cutout(share=0.5))
