"""CUB's Loc and MaxBoxAccV2 in the table `real_mini`: CAM of the classifier that `transfer/mini_cub` fine-tuned.

Source: the protocol of `cub_cam`, halved: squashed to 128, centre crop 112, as in that fine-tuning's test.
Command: `python -m wsol run configs/wsol/mini_cub_cam.py --backbone RUN --data-root FOLDER`
Expected: docs/real_mini.md.
"""

from core.data.cub import CUB
from wsol.cam.cam import WeightCAM
from wsol.geometry import Geometry
from wsol.stage import Localize

config = Localize(
    data=CUB(),
    split="test",
    geometry=Geometry(resize=128, crop=112),
    cam=WeightCAM(),
)
