"""CIFAR-10 top-1 and top-5 error of a classifier, as it is: the 10,000 test images, 32 x 32.

Source: CutMix (arXiv 1905.04899v2), table 7; the authors' repository, `train.py` (validation).
Command: `python -m transfer configs/transfer/cifar10_eval.py --backbone RUN --data-root FOLDER`
Expected: the last epoch's error of the pretraining, again. The paper reports the best epoch on this set.
"""

from core.data.cifar import CIFAR10
from transfer.stage import Transfer
from transfer.tasks.classification import ClassifierTest

config = Transfer(task=ClassifierTest(data=CIFAR10(), resize=32, crop=32), recipe=None, test_batch_size=256)
