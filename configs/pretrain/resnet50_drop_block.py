"""ResNet-50 on ImageNet with DropBlock, 300 epochs: a row of the paper's table 3.

Source: CutMix (arXiv 1905.04899v2), table 3, which quotes DropBlock's paper (arXiv 1810.12890, table 1: keep
probability .9, blocks of 7, groups 3 and 4; 270 epochs, batch 1024). DropBlock is that paper's and not timm's
(`core/networks/drop_block.py` says how they differ); everything else as in `resnet50_baseline`.
Command: `python -m pretrain configs/pretrain/resnet50_drop_block.py --data-root FOLDER`
Expected top-1 / top-5 error: 21.87 / 5.98, of that paper's own recipe.
"""

from dataclasses import replace

from configs.pretrain.resnet50_baseline import config as baseline

config = replace(
    baseline,
    architecture="core.networks.resnet_regularized:resnet50",
    training_kwargs={"drop_block": 0.1, "block_size": 7},
)
