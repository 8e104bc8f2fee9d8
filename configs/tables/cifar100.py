"""CIFAR-100, the paper's tables 5 and 6: PyramidNet-200 with every method, and two lighter networks.

Source: Yun et al., ICCV 2019 (arXiv 1905.04899v2). Three seeds, as there. Cutout and Mixup on the lighter networks are
ours.
Command: `make transfer-all TABLE=cifar100 DATA=folder`; ROWS='ResNet-110,ResNet-110 CutMix' is the cheapest pair.
"""

from eval.table import Column, Row, Table

config = Table(
    name="cifar100",
    rows=(
        Row("PyramidNet-200", pretrain="pretrain/cifar100_pyramidnet200_baseline", reference="PyramidNet-200"),
        Row(
            "PyramidNet-200 stochastic depth",
            pretrain="pretrain/cifar100_pyramidnet200_stochastic_depth",
            reference="PyramidNet-200 stochastic depth",
        ),
        Row(
            "PyramidNet-200 label smoothing",
            pretrain="pretrain/cifar100_pyramidnet200_label_smoothing",
            reference="PyramidNet-200 label smoothing",
        ),
        Row(
            "PyramidNet-200 Cutout",
            pretrain="pretrain/cifar100_pyramidnet200_cutout",
            reference="PyramidNet-200 Cutout",
        ),
        Row(
            "PyramidNet-200 Cutout + label smoothing",
            pretrain="pretrain/cifar100_pyramidnet200_cutout_label_smoothing",
            reference="PyramidNet-200 Cutout + label smoothing",
        ),
        Row(
            "PyramidNet-200 DropBlock",
            pretrain="pretrain/cifar100_pyramidnet200_drop_block",
            reference="PyramidNet-200 DropBlock",
        ),
        Row(
            "PyramidNet-200 DropBlock + label smoothing",
            pretrain="pretrain/cifar100_pyramidnet200_drop_block_label_smoothing",
            reference="PyramidNet-200 DropBlock + label smoothing",
        ),
        Row(
            "PyramidNet-200 Mixup (alpha .5)",
            pretrain="pretrain/cifar100_pyramidnet200_mixup05",
            reference="PyramidNet-200 Mixup (alpha .5)",
        ),
        Row("PyramidNet-200 Mixup", pretrain="pretrain/cifar100_pyramidnet200_mixup", reference="PyramidNet-200 Mixup"),
        Row(
            "PyramidNet-200 Manifold Mixup",
            pretrain="pretrain/cifar100_pyramidnet200_manifold_mixup",
            reference="PyramidNet-200 Manifold Mixup",
        ),
        Row(
            "PyramidNet-200 Cutout + Mixup",
            pretrain="pretrain/cifar100_pyramidnet200_cutout_mixup",
            reference="PyramidNet-200 Cutout + Mixup",
        ),
        Row(
            "PyramidNet-200 Cutout + Manifold Mixup",
            pretrain="pretrain/cifar100_pyramidnet200_cutout_manifold_mixup",
            reference="PyramidNet-200 Cutout + Manifold Mixup",
        ),
        Row(
            "PyramidNet-200 ShakeDrop",
            pretrain="pretrain/cifar100_pyramidnet200_shakedrop",
            reference="PyramidNet-200 ShakeDrop",
        ),
        Row(
            "PyramidNet-200 CutMix",
            pretrain="pretrain/cifar100_pyramidnet200_cutmix",
            reference="PyramidNet-200 CutMix",
        ),
        Row(
            "PyramidNet-200 CutMix + ShakeDrop",
            pretrain="pretrain/cifar100_pyramidnet200_cutmix_shakedrop",
            reference="PyramidNet-200 CutMix + ShakeDrop",
        ),
        Row(
            "PyramidNet-110",
            pretrain="pretrain/cifar100_pyramidnet110_baseline",
            reference="PyramidNet-110",
            baseline="PyramidNet-110",
        ),
        Row("PyramidNet-110 Cutout", pretrain="pretrain/cifar100_pyramidnet110_cutout", baseline="PyramidNet-110"),
        Row("PyramidNet-110 Mixup", pretrain="pretrain/cifar100_pyramidnet110_mixup", baseline="PyramidNet-110"),
        Row(
            "PyramidNet-110 CutMix",
            pretrain="pretrain/cifar100_pyramidnet110_cutmix",
            reference="PyramidNet-110 CutMix",
            baseline="PyramidNet-110",
        ),
        Row(
            "ResNet-110", pretrain="pretrain/cifar100_resnet110_baseline", reference="ResNet-110", baseline="ResNet-110"
        ),
        Row("ResNet-110 Cutout", pretrain="pretrain/cifar100_resnet110_cutout", baseline="ResNet-110"),
        Row("ResNet-110 Mixup", pretrain="pretrain/cifar100_resnet110_mixup", baseline="ResNet-110"),
        Row(
            "ResNet-110 CutMix",
            pretrain="pretrain/cifar100_resnet110_cutmix",
            reference="ResNet-110 CutMix",
            baseline="ResNet-110",
        ),
    ),
    columns=(
        Column("CIFAR-100 top-1 error", ("transfer/cifar100_eval",), "top1_error", "cifar100_top1"),
        Column("CIFAR-100 top-5 error", ("transfer/cifar100_eval",), "top5_error", "cifar100_top5"),
    ),
    seeds=(0, 1, 2),
    baseline="PyramidNet-200",
    references="references/cutmix_classification",
)
