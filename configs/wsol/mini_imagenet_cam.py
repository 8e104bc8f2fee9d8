"""ImageNet's Loc and MaxBoxAccV2 in the table `real_mini`: CAM of the pretrained classifier as it is, 250 real images.

Source: CutMix, section 4.2 (layer4 at stride 1, sigma .15, largest component) without its fine-tuning; the crop is that
of the rows' validation, the paper's 256 and 224 halved. The subset's boxes and images are both stretched to 224 x 224.
Command: `python -m wsol run configs/wsol/mini_imagenet_cam.py --backbone RUN --data-root FOLDER`
Expected: docs/real_mini.md.
"""

from core.data.imagenet import ImageNet
from wsol.cam.cam import WeightCAM
from wsol.geometry import Geometry
from wsol.stage import Localize

config = Localize(
    data=ImageNet(),
    split="val",
    geometry=Geometry(resize=128, crop=112),
    cam=WeightCAM(),
)
