"""ADL (attention-based dropout) in fine-tuning, for the table `wsol_imagenet`; the rest is `imagenet_wsolevaluation`.

Source: `imagenet_wsolevaluation`, and `transfer/regularizers/adl.py` for the method. The threshold .9 and the drop rate
.75 are the defaults of wsolevaluation's command line (`config.py`, commit 96f4b88), which searched its values.
Command: `python -m transfer configs/transfer/imagenet_wsolevaluation_adl.py --backbone RUN --data-root FOLDER`
Expected: MaxBoxAccV2 63.7 on ResNet-50 (README of wsolevaluation), with searched values.
"""

from dataclasses import replace

from configs.transfer.imagenet_wsolevaluation import config as plain
from configs.transfer.imagenet_wsolevaluation import task
from transfer.regularizers.adl import ADL

config = replace(plain, task=replace(task, regularizer=ADL(threshold=0.9)))
