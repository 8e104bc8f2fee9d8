"""ImageNet's Loc and MaxBoxAccV2 in the table `quick`: CAM of the pretrained classifier as it is.

Source: CutMix (arXiv 1905.04899v2), section 4.2: layer4 at stride 1, sigma .15, largest component; without the paper's
fine-tuning. The synthetic world's images are seen whole, as in the rows' validation.
Command: `python -m wsol run configs/wsol/quick_imagenet_cam.py --backbone runs/pretrain/quick_cutmix/seed0`
Expected: see the table in README.
"""

from core.data.imagenet import ImageNet
from core.data.synthetic import World
from wsol.cam.cam import WeightCAM
from wsol.geometry import Geometry
from wsol.stage import Localize

config = Localize(
    world=World(), data=ImageNet(), split="val", geometry=Geometry(resize=64, crop=64), cam=WeightCAM(), batch_size=128
)
