"""HaS (Hide-and-Seek) in fine-tuning, for the table `wsol_imagenet`; the rest is `imagenet_wsolevaluation`.

Source: `imagenet_wsolevaluation`, and `pretrain/mixing/has.py` for the method with its defaults;
wsolevaluation searched its values.
Command: `python -m transfer configs/transfer/imagenet_wsolevaluation_has.py --backbone RUN --data-root FOLDER`
Expected: MaxBoxAccV2 63.4 on ResNet-50 (README of wsolevaluation), with searched values.
"""

from dataclasses import replace

from configs.transfer.imagenet_wsolevaluation import config as plain
from configs.transfer.imagenet_wsolevaluation import task
from pretrain.mixing.has import HaS

config = replace(plain, task=replace(task, mixing=HaS(grid=4)))
