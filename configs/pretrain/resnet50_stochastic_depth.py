"""ResNet-50 on ImageNet with stochastic depth, 300 epochs: a row of the paper's table 3.

Source: CutMix (arXiv 1905.04899v2), table 3: rate .25 at the last block, growing linearly with depth, by the paper's
own rules and not timm's (`core/networks/stochastic_depth.py` says how they differ); everything else as in
`resnet50_baseline`.
Command: `python -m pretrain configs/pretrain/resnet50_stochastic_depth.py --data-root FOLDER`
Expected top-1 / top-5 error: 22.46 / 6.27 (the best epoch, which `more` holds beside the last).
"""

from dataclasses import replace

from configs.pretrain.resnet50_baseline import config as baseline

config = replace(
    baseline, architecture="core.networks.resnet_regularized:resnet50", training_kwargs={"stochastic_depth": 0.25}
)
