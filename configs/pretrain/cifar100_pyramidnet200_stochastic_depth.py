"""PyramidNet-200 on CIFAR-100 with stochastic depth: a row of the paper's table 5.

Source: CutMix (arXiv 1905.04899v2), table 5: rate .25 at the last block, growing linearly with depth
(`core/networks/stochastic_depth.py`); everything else as in `cifar100_pyramidnet200_baseline`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_stochastic_depth.py --data-root FOLDER`
Expected top-1 / top-5 error: 15.86 / 3.33 (table 5; the mean over three runs of the best epoch, which `more` holds
beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline

config = replace(baseline, training_kwargs={"stochastic_depth": 0.25})
