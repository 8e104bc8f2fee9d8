"""ImageNet top-1 and top-5 error of a classifier, as it is: short side 256, centre crop 224.

Source: CutMix, table 3; the authors' repository, `train.py` (validation).
Command: `python -m transfer configs/transfer/imagenet_eval.py --backbone RUN --data-root FOLDER`
Expected top-1 error, ResNet-50: baseline 23.68, Mixup 22.58, Cutout 22.93, CutMix 21.40. The paper reports the best
epoch on this set; here the last epoch's backbone is tested.
"""

from core.data.imagenet import ImageNet
from transfer.stage import Transfer
from transfer.tasks.classification import ClassifierTest

config = Transfer(task=ClassifierTest(data=ImageNet()), recipe=None, test_batch_size=256, workers=8)
