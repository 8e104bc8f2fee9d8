"""CAM, HaS, ADL and CutMix on CUB-200-2011 by two protocols, ResNet-50: does a method's gain outlive the protocol?

Source: the four Loc columns follow the CutMix paper (section 4.2: 600 epochs, centre crop, threshold .15, top-1 Loc),
the four MaxBoxAccV2 columns wsolevaluation (50 epochs, whole images). That code starts from torchvision's first
weights, the last row; the other rows are pretrainings of ours, which differ in their mixing.
Command: `make transfer-all TABLE=wsol DATA=folder`; ROWS=timm-resnet50.tv_in1k needs no pretraining.
"""

from configs.tables._wsol import READ, loc, max_box_acc_v2
from eval.table import Row, Table

PAPER = {
    "CAM": ("transfer/cub", "wsol/cub_cam"),
    "HaS": ("transfer/cub_has", "wsol/cub_cam"),
    "ADL": ("transfer/cub_adl", "wsol/cub_cam"),
    "CutMix": ("transfer/cub_cutmix", "wsol/cub_cam"),
}
WSOLEVALUATION = {
    "CAM": ("transfer/cub_wsolevaluation", "wsol/cub_wsolevaluation"),
    "HaS": ("transfer/cub_wsolevaluation_has", "wsol/cub_wsolevaluation"),
    "ADL": ("transfer/cub_wsolevaluation_adl", "wsol/cub_wsolevaluation"),
    "CutMix": ("transfer/cub_wsolevaluation_cutmix", "wsol/cub_wsolevaluation"),
}

config = Table(
    name="wsol",
    rows=(
        Row("Baseline", pretrain="pretrain/resnet50_baseline", reference="Baseline"),
        Row("CutMix", pretrain="pretrain/resnet50_cutmix"),
        Row("HaS", pretrain="pretrain/resnet50_has"),
        Row("torchvision's weights", backbone="timm:resnet50.tv_in1k", reference="Baseline"),
    ),
    columns=(*loc("cub", PAPER), *max_box_acc_v2("cub", WSOLEVALUATION)),
    baseline="Baseline",
    references="references/wsol",
    notes=(
        READ,
        "Loc and MaxBoxAccV2 are of two trainings, each by its own protocol; every result.json holds both metrics.",
    ),
)
