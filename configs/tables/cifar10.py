"""CIFAR-10, the paper's table 7: PyramidNet-200 with five methods.

Source: Yun et al., ICCV 2019 (arXiv 1905.04899v2). Three seeds, as there; the paper has no top-5 error.
Command: `make transfer-all TABLE=cifar10 DATA=folder`.
"""

from eval.table import Column, Row, Table

config = Table(
    name="cifar10",
    rows=(
        Row("PyramidNet-200", pretrain="pretrain/cifar10_pyramidnet200_baseline", reference="PyramidNet-200"),
        Row(
            "PyramidNet-200 Cutout", pretrain="pretrain/cifar10_pyramidnet200_cutout", reference="PyramidNet-200 Cutout"
        ),
        Row("PyramidNet-200 Mixup", pretrain="pretrain/cifar10_pyramidnet200_mixup", reference="PyramidNet-200 Mixup"),
        Row(
            "PyramidNet-200 Manifold Mixup",
            pretrain="pretrain/cifar10_pyramidnet200_manifold_mixup",
            reference="PyramidNet-200 Manifold Mixup",
        ),
        Row(
            "PyramidNet-200 CutMix", pretrain="pretrain/cifar10_pyramidnet200_cutmix", reference="PyramidNet-200 CutMix"
        ),
    ),
    columns=(
        Column("CIFAR-10 top-1 error", ("transfer/cifar10_eval",), "top1_error", "cifar10_top1"),
        Column("CIFAR-10 top-5 error", ("transfer/cifar10_eval",), "top5_error"),
    ),
    seeds=(0, 1, 2),
    baseline="PyramidNet-200",
    references="references/cutmix_classification",
)
