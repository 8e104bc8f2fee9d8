"""CutMix in fine-tuning, for the table `wsol_imagenet`; the rest is `imagenet_wsolevaluation`.

Source: `imagenet_wsolevaluation`, and `pretrain/mixing/cutmix.py` for the method with its defaults;
wsolevaluation searched its values.
Command: `python -m transfer configs/transfer/imagenet_wsolevaluation_cutmix.py --backbone RUN --data-root FOLDER`
Expected: MaxBoxAccV2 63.3 on ResNet-50 (README of wsolevaluation), with searched values.
"""

from dataclasses import replace

from configs.transfer.imagenet_wsolevaluation import config as plain
from configs.transfer.imagenet_wsolevaluation import task
from pretrain.mixing.cutmix import CutMix

config = replace(plain, task=replace(task, mixing=CutMix(alpha=1.0)))
