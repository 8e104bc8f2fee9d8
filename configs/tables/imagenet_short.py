"""ImageNet in 100 epochs: ResNet-50 with four methods by a short recipe of ours.

Source: ours (`configs/pretrain/resnet50_short_baseline.py`); no published number belongs beside it.
Command: `make transfer-all TABLE=imagenet_short DATA=folder`.
"""

from eval.table import Column, Row, Table

config = Table(
    name="imagenet_short",
    rows=(
        Row("Baseline", pretrain="pretrain/resnet50_short_baseline"),
        Row("Mixup", pretrain="pretrain/resnet50_short_mixup"),
        Row("Cutout", pretrain="pretrain/resnet50_short_cutout"),
        Row("CutMix", pretrain="pretrain/resnet50_short_cutmix"),
    ),
    columns=(
        Column("ImageNet top-1 error", ("transfer/imagenet_eval",), "top1_error"),
        Column("ImageNet top-5 error", ("transfer/imagenet_eval",), "top5_error"),
    ),
    baseline="Baseline",
)
