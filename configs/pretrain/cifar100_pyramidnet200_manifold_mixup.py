"""PyramidNet-200 on CIFAR-100 with Manifold Mixup: a row of the paper's table 5.

Source: CutMix (arXiv 1905.04899v2), table 5: alpha 1 at a random layer for each batch; which layers is not said, here
the input, layer1 and layer2 as in Verma et al. (arXiv 1806.05236); everything else as in
`cifar100_pyramidnet200_baseline`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_manifold_mixup.py --data-root FOLDER`
Expected top-1 / top-5 error: 16.14 / 4.07 (table 5; the mean over three runs of the best epoch, which `more` holds
beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline
from pretrain.mixing.at_layers import AtLayers
from pretrain.mixing.mixup import Mixup

config = replace(baseline, mixing=AtLayers(Mixup(alpha=1.0), sites=("input", "layer1", "layer2")))
