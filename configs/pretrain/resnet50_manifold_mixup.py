"""ResNet-50 on ImageNet with Manifold Mixup, 300 epochs: a row of the paper's table 3.

Source: CutMix (arXiv 1905.04899v2), table 3: alpha 1 (of .5 and 1 tried) at a random layer for each batch; which layers
is not said, here the input, layer1 and layer2 as in Verma et al. (arXiv 1806.05236); everything else as in
`resnet50_baseline`.
Command: `python -m pretrain configs/pretrain/resnet50_manifold_mixup.py --data-root FOLDER`
Expected top-1 / top-5 error: 22.50 / 6.21 (the best epoch, which `more` holds beside the last).
"""

from dataclasses import replace

from configs.pretrain.resnet50_baseline import config as baseline
from pretrain.mixing.at_layers import AtLayers
from pretrain.mixing.mixup import Mixup

config = replace(baseline, mixing=AtLayers(Mixup(alpha=1.0), sites=("input", "layer1", "layer2")))
