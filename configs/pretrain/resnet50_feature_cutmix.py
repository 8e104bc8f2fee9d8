"""ResNet-50 on ImageNet with Feature CutMix, 300 epochs: a row of the paper's table 3.

Source: CutMix (arXiv 1905.04899v2), table 3: CutMix of alpha 1 at a random layer for each batch; which layers is not
said, here the input, layer1 and layer2; everything else as in `resnet50_baseline`.
Command: `python -m pretrain configs/pretrain/resnet50_feature_cutmix.py --data-root FOLDER`
Expected top-1 / top-5 error: 21.80 / 6.06 (the best epoch, which `more` holds beside the last). The text says 21.78.
"""

from dataclasses import replace

from configs.pretrain.resnet50_baseline import config as baseline
from pretrain.mixing.at_layers import AtLayers
from pretrain.mixing.cutmix import CutMix

config = replace(baseline, mixing=AtLayers(CutMix(alpha=1.0), sites=("input", "layer1", "layer2")))
