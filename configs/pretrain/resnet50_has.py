"""ResNet-50 on ImageNet with Hide-and-Seek, 300 epochs: a row of the table `wsol`.

Source: Singh & Lee (ICCV 2017, arXiv 1704.04232), sec. 3.1 and 4: cells of 56 of 224 pixels (the largest of the paper's
16, 32, 44 and 56), each hidden with probability .5; everything else as in `resnet50_baseline`. The CutMix paper has no
such row.
Command: `python -m pretrain configs/pretrain/resnet50_has.py --data-root FOLDER`
Expected: no published number for this training.
"""

from dataclasses import replace

from configs.pretrain.resnet50_baseline import config as baseline
from pretrain.mixing.has import HaS

config = replace(baseline, mixing=HaS(grid=4))
