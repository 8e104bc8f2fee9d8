"""Top-1 localization on ImageNet by the paper's protocol: CAM of what `transfer/imagenet_wsol` fine-tuned.

Source: CutMix (arXiv 1905.04899v2), section 4.2, appendix B and table 9: ResNet-50 with layer4 at stride 1 (14 x 14
maps), squashed to 256, one centre crop of 224, threshold .15 of the map's maximum, the tightest box of the largest
component; right where the class is right and IoU > .5. Whether maps were min-max scaled first is stated nowhere: field
`subtract_minimum`.
Command: `python -m wsol run configs/wsol/imagenet_cam.py --backbone RUN --data-root FOLDER`
Expected top-1 Loc, ResNet-50: CAM 46.30, Mixup 45.84, Cutout 46.69, CutMix 47.25. Under MaxBoxAccV2, which
the result holds beside it, wsolevaluation finds no gain of CutMix over CAM.
"""

from core.data.imagenet import ImageNet
from wsol.cam.cam import WeightCAM
from wsol.geometry import Geometry
from wsol.stage import Localize

config = Localize(
    data=ImageNet(),
    split="val",
    geometry=Geometry(resize=256, crop=224),
    cam=WeightCAM(),
    workers=8,
)
