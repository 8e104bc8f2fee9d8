"""ImageNet column of the table `quick`: the pretrained classifier on the synthetic world's validation images, as it is.

Source: ours. Command: `python -m transfer configs/transfer/quick_imagenet_eval.py --backbone RUN`
Expected: the last epoch's error of the pretraining, again: the same images through the same crop.
"""

from core.data.imagenet import ImageNet
from core.data.synthetic import World
from transfer.stage import Transfer
from transfer.tasks.classification import ClassifierTest

config = Transfer(world=World(), task=ClassifierTest(data=ImageNet(), resize=64, crop=64), recipe=None)
