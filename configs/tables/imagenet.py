"""ImageNet, the paper's tables 3 and 4: ResNet-50 with every method, ResNet-101 and ResNeXt-101 (32x4d) with four.

Source: Yun et al., ICCV 2019 (arXiv 1905.04899v2), and the README of clovaai/CutMix-PyTorch at 2d8eb68 for AutoAugment
and ResNet-152. 300 epochs, one seed. Label smoothing, and Cutout and Mixup on ResNeXt-101, are ours.
Command: `make transfer-all TABLE=imagenet DATA=folder`; the table `imagenet_short` has four rows of 100 epochs.
"""

from eval.table import Column, Row, Table

config = Table(
    name="imagenet",
    rows=(
        Row("ResNet-50", pretrain="pretrain/resnet50_baseline", reference="ResNet-50"),
        Row("ResNet-50 Cutout", pretrain="pretrain/resnet50_cutout", reference="ResNet-50 Cutout"),
        Row(
            "ResNet-50 stochastic depth",
            pretrain="pretrain/resnet50_stochastic_depth",
            reference="ResNet-50 stochastic depth",
        ),
        Row("ResNet-50 Mixup", pretrain="pretrain/resnet50_mixup", reference="ResNet-50 Mixup"),
        Row(
            "ResNet-50 Manifold Mixup",
            pretrain="pretrain/resnet50_manifold_mixup",
            reference="ResNet-50 Manifold Mixup",
        ),
        Row("ResNet-50 AutoAugment", pretrain="pretrain/resnet50_autoaugment", reference="ResNet-50 AutoAugment"),
        Row("ResNet-50 DropBlock", pretrain="pretrain/resnet50_drop_block", reference="ResNet-50 DropBlock"),
        Row("ResNet-50 label smoothing", pretrain="pretrain/resnet50_label_smoothing"),
        Row(
            "ResNet-50 Feature CutMix",
            pretrain="pretrain/resnet50_feature_cutmix",
            reference="ResNet-50 Feature CutMix",
        ),
        Row("ResNet-50 CutMix", pretrain="pretrain/resnet50_cutmix", reference="ResNet-50 CutMix"),
        Row(
            "ResNet-101", pretrain="pretrain/imagenet_resnet101_baseline", reference="ResNet-101", baseline="ResNet-101"
        ),
        Row(
            "ResNet-101 Cutout",
            pretrain="pretrain/imagenet_resnet101_cutout",
            reference="ResNet-101 Cutout",
            baseline="ResNet-101",
        ),
        Row(
            "ResNet-101 Mixup",
            pretrain="pretrain/imagenet_resnet101_mixup",
            reference="ResNet-101 Mixup",
            baseline="ResNet-101",
        ),
        Row(
            "ResNet-101 CutMix",
            pretrain="pretrain/imagenet_resnet101_cutmix",
            reference="ResNet-101 CutMix",
            baseline="ResNet-101",
        ),
        Row(
            "ResNeXt-101",
            pretrain="pretrain/imagenet_resnext101_baseline",
            reference="ResNeXt-101",
            baseline="ResNeXt-101",
        ),
        Row("ResNeXt-101 Cutout", pretrain="pretrain/imagenet_resnext101_cutout", baseline="ResNeXt-101"),
        Row("ResNeXt-101 Mixup", pretrain="pretrain/imagenet_resnext101_mixup", baseline="ResNeXt-101"),
        Row(
            "ResNeXt-101 CutMix",
            pretrain="pretrain/imagenet_resnext101_cutmix",
            reference="ResNeXt-101 CutMix",
            baseline="ResNeXt-101",
        ),
        Row(
            "ResNet-152 CutMix",
            pretrain="pretrain/imagenet_resnet152_cutmix",
            reference="ResNet-152 CutMix",
            baseline="ResNet-152 CutMix",
        ),
    ),
    columns=(
        Column("ImageNet top-1 error", ("transfer/imagenet_eval",), "top1_error", "imagenet_top1"),
        Column("ImageNet top-5 error", ("transfer/imagenet_eval",), "top5_error", "imagenet_top5"),
    ),
    baseline="ResNet-50",
    references="references/cutmix_classification",
)
