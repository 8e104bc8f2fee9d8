"""Four methods on part of CIFAR-100, a small network, three seeds, in minutes: proof that the real files go through.

Source: ours (`configs/pretrain/mini_cifar100_baseline.py`).
Command: `make transfer-all TABLE=mini_cifar100 DATA=folder`, the folder holding cifar-100-python/ or its .tar.gz, whole
or a part of it.
"""

from eval.table import Column, Row, Table

config = Table(
    name="mini_cifar100",
    rows=(
        Row("Baseline", pretrain="pretrain/mini_cifar100_baseline"),
        Row("Mixup", pretrain="pretrain/mini_cifar100_mixup"),
        Row("Cutout", pretrain="pretrain/mini_cifar100_cutout"),
        Row("CutMix", pretrain="pretrain/mini_cifar100_cutmix"),
    ),
    columns=(
        Column("CIFAR-100 top-1 error", ("transfer/cifar100_eval",), "top1_error"),
        Column("CIFAR-100 top-5 error", ("transfer/cifar100_eval",), "top5_error"),
    ),
    seeds=(0, 1, 2),
    baseline="Baseline",
    notes=(
        "A few thousand images, minutes of training: the numbers show that the way works, not which method is better.",
    ),
)
