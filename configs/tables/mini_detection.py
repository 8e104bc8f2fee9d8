"""SSD, FPN and C4 on 300 real images of VOC2007, tested on 200: proof that real files go through all three.

Command: `make transfer-all TABLE=mini_detection DATA=folder`, the folder holding imagenet/ and VOCdevkit/VOC2007/ as
for the table `real_mini`, whose pretrainings and first two columns it shares.
"""

from eval.table import Column, Row, Table

FPN, C4 = ("transfer/mini_voc_frcnn",), ("transfer/mini_voc_c4",)

config = Table(
    name="mini_detection",
    rows=(
        Row("Baseline", pretrain="pretrain/mini_baseline"),
        Row("Mixup", pretrain="pretrain/mini_mixup"),
        Row("Cutout", pretrain="pretrain/mini_cutout"),
        Row("CutMix", pretrain="pretrain/mini_cutmix"),
    ),
    columns=(
        Column("VOC SSD AP50", ("transfer/mini_voc_ssd",), "map"),
        Column("VOC FPN AP50", FPN, "map"),
        Column("VOC FPN AP", FPN, "ap"),
        Column("VOC C4 AP50", C4, "map"),
        Column("VOC C4 AP", C4, "ap"),
    ),
    baseline="Baseline",
    notes=(
        "300 images to train on, 200 to test, one seed: this shows that the way works, not which method is better.",
    ),
)
