"""Tiny-ImageNet top-1 and top-5 error of a classifier, as it is: the validation images, 64 x 64.

Source: ours; the paper tests nothing on this set.
Command: `python -m transfer configs/transfer/tiny_eval.py --backbone RUN --data-root FOLDER`
Expected: the last epoch's error of the pretraining, again.
"""

from core.data.tiny_imagenet import TinyImageNet
from transfer.stage import Transfer
from transfer.tasks.classification import ClassifierTest

config = Transfer(task=ClassifierTest(data=TinyImageNet(), resize=64, crop=64), recipe=None, test_batch_size=256)
