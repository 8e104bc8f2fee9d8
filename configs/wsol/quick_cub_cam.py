"""CUB's Loc and MaxBoxAccV2 in the table `quick`: CAM of the classifier that `transfer/quick_cub` fine-tuned.

Source: the protocol of `cub_cam`, scaled: squashed to 72, centre crop 64, as in that fine-tuning's test.
Command: `python -m wsol run configs/wsol/quick_cub_cam.py --backbone runs/transfer/quick_cub/quick_cutmix/seed0`
Expected: see the table in README.
"""

from core.data.cub import CUB
from core.data.synthetic import World
from wsol.cam.cam import WeightCAM
from wsol.geometry import Geometry
from wsol.stage import Localize

config = Localize(
    world=World(),
    data=CUB(),
    split="test",
    geometry=Geometry(resize=72, crop=64),
    cam=WeightCAM(),
    batch_size=128,
)
