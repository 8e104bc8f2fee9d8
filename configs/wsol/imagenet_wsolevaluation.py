"""MaxBoxAccV2 on ImageNet by wsolevaluation's protocol: CAM of what `transfer/imagenet_wsolevaluation` fine-tuned.

Source: clovaai/wsolevaluation at commit 96f4b88 (Choe et al., CVPR 2020, arXiv 2001.07437): ResNet-50 with layer4 at
stride 1 (14 x 14 maps), the whole image squashed to 224 (`data_loaders.py`), the map of the ground-truth class min-max
scaled; any box of any component against any true box, at IoU .3, .5 and .7, each at its own best threshold of the
whole split, averaged. The threshold's choice on its second split (train-fullsup) is not needed by this metric.
Departures: maps are enlarged bilinearly (bicubically there), boxes are compared in the corrected geometry at all
thresholds, not a hundred (docs/wsol.md). For its evaluator to the bit: `python -m wsol extract` with `--minmax`, then
`evaluate --geometry compat --levels 100`.
Command: `python -m wsol run configs/wsol/imagenet_wsolevaluation.py --backbone RUN --data-root FOLDER`
Expected MaxBoxAccV2, ResNet-50 (README there): CAM 63.7, HaS 63.4, ADL 63.7, CutMix 63.3: the CutMix paper's gain is
absent (-0.4).
"""

from core.data.imagenet import ImageNet
from wsol.cam.cam import WeightCAM
from wsol.geometry import Geometry
from wsol.stage import Localize

config = Localize(
    data=ImageNet(),
    split="val",
    geometry=Geometry(resize=224, crop=224),
    cam=WeightCAM(),
    subtract_minimum=True,
    workers=8,
)
