"""Tiny-ImageNet: ResNet-18 with four methods.

Source: ours (`configs/pretrain/tiny_resnet18_baseline.py`); the paper trains nothing on this set. Three seeds.
Command: `make transfer-all TABLE=tiny_imagenet DATA=folder`, the folder holding tiny-imagenet-200.zip.
"""

from eval.table import Column, Row, Table

config = Table(
    name="tiny_imagenet",
    rows=(
        Row("Baseline", pretrain="pretrain/tiny_resnet18_baseline"),
        Row("Mixup", pretrain="pretrain/tiny_resnet18_mixup"),
        Row("Cutout", pretrain="pretrain/tiny_resnet18_cutout"),
        Row("CutMix", pretrain="pretrain/tiny_resnet18_cutmix"),
    ),
    columns=(
        Column("Tiny-ImageNet top-1 error", ("transfer/tiny_eval",), "top1_error"),
        Column("Tiny-ImageNet top-5 error", ("transfer/tiny_eval",), "top5_error"),
    ),
    seeds=(0, 1, 2),
    baseline="Baseline",
)
