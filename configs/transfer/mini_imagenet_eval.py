"""ImageNet column of the table `real_mini`: the pretrained classifier on the subset's 250 validation images, as it is.

Source: ours. Command: `python -m transfer configs/transfer/mini_imagenet_eval.py --backbone RUN --data-root FOLDER`
Expected: the last epoch's error of the pretraining, again (docs/real_mini.md); chance is 90%.
"""

from configs.pretrain.mini_baseline import config as pretraining
from core.data.imagenet import ImageNet
from transfer.stage import Transfer
from transfer.tasks.classification import ClassifierTest

config = Transfer(
    task=ClassifierTest(data=ImageNet(), resize=pretraining.resize, crop=pretraining.image_size), recipe=None
)
