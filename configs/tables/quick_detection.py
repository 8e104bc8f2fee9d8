"""SSD, FPN and C4 on the synthetic world's VOC: the table `quick`'s detectors and a third, alone.

Command: `make transfer-all TABLE=quick_detection`; pretrainings and the first two columns are those of `quick`.
"""

from eval.table import Column, Row, Table

FPN, C4 = ("transfer/quick_voc_frcnn",), ("transfer/quick_voc_c4",)

config = Table(
    name="quick_detection",
    rows=(
        Row("Baseline", pretrain="pretrain/quick_baseline"),
        Row("Mixup", pretrain="pretrain/quick_mixup"),
        Row("Cutout", pretrain="pretrain/quick_cutout"),
        Row("CutMix", pretrain="pretrain/quick_cutmix"),
    ),
    columns=(
        Column("VOC SSD AP50", ("transfer/quick_voc_ssd",), "map"),
        Column("VOC FPN AP50", FPN, "map"),
        Column("VOC C4 AP50", C4, "map"),
        Column("VOC C4 AP", C4, "ap"),
    ),
    baseline="Baseline",
)
