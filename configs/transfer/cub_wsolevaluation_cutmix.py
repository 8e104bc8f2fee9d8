"""CutMix in fine-tuning: a method of the table `wsol`; the rest is `cub_wsolevaluation`.

Source: `cub_wsolevaluation`, and `pretrain/mixing/cutmix.py` for the method with its defaults;
wsolevaluation searched its values.
Command: `python -m transfer configs/transfer/cub_wsolevaluation_cutmix.py --backbone RUN --data-root FOLDER`
Expected: MaxBoxAccV2 62.8 on ResNet-50 (README of wsolevaluation), with searched values.
"""

from dataclasses import replace

from configs.transfer.cub_wsolevaluation import config as plain
from configs.transfer.cub_wsolevaluation import task
from pretrain.mixing.cutmix import CutMix

config = replace(plain, task=replace(task, mixing=CutMix(alpha=1.0)))
