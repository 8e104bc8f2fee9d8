"""PyramidNet-110 (alpha 64) on CIFAR-100 with Cutout.

Source: ours; the paper has no such row. 16 x 16 pixels as in its table 5; everything else as in
`cifar100_pyramidnet110_baseline`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet110_cutout.py --data-root FOLDER`
Expected: no published number.
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet110_baseline import config as baseline
from pretrain.mixing.cutout import Cutout

config = replace(baseline, mixing=Cutout(share=0.5))
