"""HaS (Hide-and-Seek) in fine-tuning: a method of the table `wsol`; the rest is `cub_wsolevaluation`.

Source: `cub_wsolevaluation`, and `pretrain/mixing/has.py` for the method with its defaults;
wsolevaluation searched its values.
Command: `python -m transfer configs/transfer/cub_wsolevaluation_has.py --backbone RUN --data-root FOLDER`
Expected: MaxBoxAccV2 64.7 on ResNet-50 (README of wsolevaluation), with searched values.
"""

from dataclasses import replace

from configs.transfer.cub_wsolevaluation import config as plain
from configs.transfer.cub_wsolevaluation import task
from pretrain.mixing.has import HaS

config = replace(plain, task=replace(task, mixing=HaS(grid=4)))
