"""CutMix's ablations on CIFAR-100, the paper's figure 3 and table 8: which of its parts matter?

Source: Yun et al., ICCV 2019 (arXiv 1905.04899v2): PyramidNet-200. Figure 3 is a plot: its rows (alpha, layer) have no
published number beside them. There alpha 1 and the input are best, and all but layer3 beat the baseline.
Command: `make transfer-all TABLE=ablation DATA=folder`; two of its pretrainings are those of the table `cifar100`.
"""

from eval.table import Column, Row, Table

config = Table(
    name="ablation",
    rows=(
        Row("PyramidNet-200", pretrain="pretrain/cifar100_pyramidnet200_baseline", reference="PyramidNet-200"),
        Row("CutMix", pretrain="pretrain/cifar100_pyramidnet200_cutmix", reference="PyramidNet-200 CutMix"),
        Row("CutMix, alpha .1", pretrain="pretrain/cifar100_pyramidnet200_cutmix_alpha01"),
        Row("CutMix, alpha .25", pretrain="pretrain/cifar100_pyramidnet200_cutmix_alpha025"),
        Row("CutMix, alpha .5", pretrain="pretrain/cifar100_pyramidnet200_cutmix_alpha05"),
        Row("CutMix, alpha 2", pretrain="pretrain/cifar100_pyramidnet200_cutmix_alpha2"),
        Row("CutMix, alpha 4", pretrain="pretrain/cifar100_pyramidnet200_cutmix_alpha4"),
        Row("CutMix at bn1", pretrain="pretrain/cifar100_pyramidnet200_cutmix_at_bn1"),
        Row("CutMix at layer1", pretrain="pretrain/cifar100_pyramidnet200_cutmix_at_layer1"),
        Row("CutMix at layer2", pretrain="pretrain/cifar100_pyramidnet200_cutmix_at_layer2"),
        Row("CutMix at layer3", pretrain="pretrain/cifar100_pyramidnet200_cutmix_at_layer3"),
        Row(
            "Center Gaussian CutMix",
            pretrain="pretrain/cifar100_pyramidnet200_cutmix_gaussian",
            reference="Center Gaussian CutMix",
        ),
        Row(
            "Fixed-size CutMix", pretrain="pretrain/cifar100_pyramidnet200_cutmix_fixed", reference="Fixed-size CutMix"
        ),
        Row("One-hot CutMix", pretrain="pretrain/cifar100_pyramidnet200_cutmix_onehot", reference="One-hot CutMix"),
        Row(
            "Scheduled CutMix",
            pretrain="pretrain/cifar100_pyramidnet200_cutmix_scheduled",
            reference="Scheduled CutMix",
        ),
        Row(
            "Complete-label CutMix",
            pretrain="pretrain/cifar100_pyramidnet200_cutmix_complete",
            reference="Complete-label CutMix",
        ),
    ),
    columns=(
        Column("CIFAR-100 top-1 error", ("transfer/cifar100_eval",), "top1_error", "ablation_top1"),
        Column("CIFAR-100 top-5 error", ("transfer/cifar100_eval",), "top5_error", "ablation_top5"),
    ),
    seeds=(0, 1, 2),
    baseline="PyramidNet-200",
    references="references/cutmix_classification",
)
