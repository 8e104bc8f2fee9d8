"""Four methods on part of Tiny-ImageNet, a small network, three seeds: proof that the real zip goes through.

Source: ours (`configs/pretrain/mini_tiny_baseline.py`).
Command: `make transfer-all TABLE=mini_tiny DATA=folder`, the folder holding tiny-imagenet-200.zip, whole or a part.
"""

from eval.table import Column, Row, Table

config = Table(
    name="mini_tiny",
    rows=(
        Row("Baseline", pretrain="pretrain/mini_tiny_baseline"),
        Row("Mixup", pretrain="pretrain/mini_tiny_mixup"),
        Row("Cutout", pretrain="pretrain/mini_tiny_cutout"),
        Row("CutMix", pretrain="pretrain/mini_tiny_cutmix"),
    ),
    columns=(
        Column("Tiny-ImageNet top-1 error", ("transfer/tiny_eval",), "top1_error"),
        Column("Tiny-ImageNet top-5 error", ("transfer/tiny_eval",), "top5_error"),
    ),
    seeds=(0, 1, 2),
    baseline="Baseline",
    notes=(
        "A few thousand images, minutes of training: the numbers show that the way works, not which method is better.",
    ),
)
