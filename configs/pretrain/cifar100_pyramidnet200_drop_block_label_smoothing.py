"""PyramidNet-200 on CIFAR-100 with DropBlock and label smoothing: a row of the paper's table 5.

Source: CutMix (arXiv 1905.04899v2), table 5: as `cifar100_pyramidnet200_drop_block`, share .1; everything else as in
`cifar100_pyramidnet200_baseline`.
Command: `python -m pretrain configs/pretrain/cifar100_pyramidnet200_drop_block_label_smoothing.py --data-root FOLDER`
Expected top-1 / top-5 error: 15.16 / 3.86 (table 5; the mean over three runs of the best epoch, which `more` holds
beside the last).
"""

from dataclasses import replace

from configs.pretrain.cifar100_pyramidnet200_baseline import config as baseline

config = replace(baseline, training_kwargs={"drop_block": 0.1, "block_size": 4}, label_smoothing=0.1)
