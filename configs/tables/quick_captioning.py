"""NIC and attention on the synthetic world's pictures: the table `quick`'s captioning column and another, alone.

Command: `make transfer-all TABLE=quick_captioning`; pretrainings and the first column are those of `quick`.
"""

from eval.table import Column, Row, Table

config = Table(
    name="quick_captioning",
    rows=(
        Row("Baseline", pretrain="pretrain/quick_baseline"),
        Row("Mixup", pretrain="pretrain/quick_mixup"),
        Row("Cutout", pretrain="pretrain/quick_cutout"),
        Row("CutMix", pretrain="pretrain/quick_cutmix"),
    ),
    columns=(
        Column("NIC BLEU-4", ("transfer/quick_coco_nic",), "bleu4"),
        Column("Attention BLEU-4", ("transfer/quick_coco_attention",), "bleu4"),
    ),
    baseline="Baseline",
)
