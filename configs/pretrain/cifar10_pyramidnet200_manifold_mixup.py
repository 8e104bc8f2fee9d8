"""PyramidNet-200 on CIFAR-10 with Manifold Mixup: a row of the paper's table 7.

Source: CutMix (arXiv 1905.04899v2), table 7: alpha 1; layers as in `cifar100_pyramidnet200_manifold_mixup`; everything
else as in `cifar10_pyramidnet200_baseline`.
Command: `python -m pretrain configs/pretrain/cifar10_pyramidnet200_manifold_mixup.py --data-root FOLDER`
Expected top-1 error: 3.15 (table 7; the mean over three runs of the best epoch, which `more` holds beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar10_pyramidnet200_baseline import config as baseline
from pretrain.mixing.at_layers import AtLayers
from pretrain.mixing.mixup import Mixup

config = replace(baseline, mixing=AtLayers(Mixup(alpha=1.0), sites=("input", "layer1", "layer2")))
