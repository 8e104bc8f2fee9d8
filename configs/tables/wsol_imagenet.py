"""CAM, HaS, ADL and CutMix on ImageNet by wsolevaluation's protocol, ResNet-50.

Source: clovaai/wsolevaluation at commit 96f4b88: 10 epochs, whole images, MaxBoxAccV2; top-1 Loc at .15 of the same
cells stands beside it (the CutMix paper's own protocol is in the table `paper`). That code starts from torchvision's
first weights, the last row.
Command: `make transfer-all TABLE=wsol_imagenet DATA=folder`; ROWS=timm-resnet50.tv_in1k needs no pretraining.
"""

from configs.tables._wsol import READ, loc, max_box_acc_v2
from eval.table import Row, Table

CHAINS = {
    "CAM": ("transfer/imagenet_wsolevaluation", "wsol/imagenet_wsolevaluation"),
    "HaS": ("transfer/imagenet_wsolevaluation_has", "wsol/imagenet_wsolevaluation"),
    "ADL": ("transfer/imagenet_wsolevaluation_adl", "wsol/imagenet_wsolevaluation"),
    "CutMix": ("transfer/imagenet_wsolevaluation_cutmix", "wsol/imagenet_wsolevaluation"),
}

config = Table(
    name="wsol_imagenet",
    rows=(
        Row("Baseline", pretrain="pretrain/resnet50_baseline", reference="Baseline"),
        Row("CutMix", pretrain="pretrain/resnet50_cutmix"),
        Row("HaS", pretrain="pretrain/resnet50_has"),
        Row("torchvision's weights", backbone="timm:resnet50.tv_in1k", reference="Baseline"),
    ),
    columns=(*loc("imagenet", CHAINS), *max_box_acc_v2("imagenet", CHAINS)),
    baseline="Baseline",
    references="references/wsol",
    notes=(
        READ,
        "The published Loc is the CutMix paper's, of its own protocol: 20 epochs and a centre crop.",
    ),
)
