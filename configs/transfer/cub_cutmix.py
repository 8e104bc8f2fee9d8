"""CutMix in fine-tuning: a method of the table `wsol`; the rest is `cub`.

Source: `cub`, the recipe of the CutMix paper, and `pretrain/mixing/cutmix.py` for the method with its defaults.
Command: `python -m transfer configs/transfer/cub_cutmix.py --backbone RUN --data-root FOLDER`
Expected: the paper gives the localization only: 54.81 top-1 Loc (`configs/wsol/cub_cam.py`).
"""

from dataclasses import replace

from configs.transfer.cub import config as plain
from configs.transfer.cub import task
from pretrain.mixing.cutmix import CutMix

config = replace(plain, task=replace(task, mixing=CutMix(alpha=1.0)))
