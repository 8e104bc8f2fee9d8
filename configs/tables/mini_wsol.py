"""The methods of `wsol` on 10 real classes of CUB-200-2011: proof that real files go through.

Command: `make transfer-all TABLE=mini_wsol DATA=folder`, the folder holding imagenet/ and CUB_200_2011/ as for the
table `real_mini`, whose pretrainings it shares.
"""

from configs.tables._wsol import READ, loc, max_box_acc_v2
from eval.table import Row, Table

CHAINS = {
    "CAM": ("transfer/mini_cub", "wsol/mini_cub_cam"),
    "HaS": ("transfer/mini_cub_has", "wsol/mini_cub_cam"),
    "ADL": ("transfer/mini_cub_adl", "wsol/mini_cub_cam"),
    "CutMix": ("transfer/mini_cub_cutmix", "wsol/mini_cub_cam"),
}

config = Table(
    name="mini_wsol",
    rows=(
        Row("Baseline", pretrain="pretrain/mini_baseline", reference="Baseline"),
        Row("CutMix", pretrain="pretrain/mini_cutmix"),
        Row("HaS", pretrain="pretrain/mini_has"),
    ),
    columns=(*loc("cub", CHAINS), *max_box_acc_v2("cub", CHAINS)),
    baseline="Baseline",
    references="references/wsol",
    notes=(
        READ,
        "120 images to train on, 119 to test, one seed: the numbers show that real files go through, not which method "
        "is better.",
    ),
)
