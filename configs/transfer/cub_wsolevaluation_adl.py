"""ADL (attention-based dropout) in fine-tuning: a method of the table `wsol`; the rest is `cub_wsolevaluation`.

Source: `cub_wsolevaluation`, and `transfer/regularizers/adl.py` for the method. The threshold .9 and the drop rate
.75 are the defaults of wsolevaluation's command line (`config.py`, commit 96f4b88), which searched its values.
Command: `python -m transfer configs/transfer/cub_wsolevaluation_adl.py --backbone RUN --data-root FOLDER`
Expected: MaxBoxAccV2 58.4 on ResNet-50 (README of wsolevaluation), with searched values.
"""

from dataclasses import replace

from configs.transfer.cub_wsolevaluation import config as plain
from configs.transfer.cub_wsolevaluation import task
from transfer.regularizers.adl import ADL

config = replace(plain, task=replace(task, regularizer=ADL(threshold=0.9)))
