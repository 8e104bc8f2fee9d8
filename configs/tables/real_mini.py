"""The same four rows and eight columns on small subsets of the real data sets: proof that real files go through.

Command: `make transfer-all TABLE=real_mini DATA=folder`, the folder holding imagenet/ (10 classes), CUB_200_2011/ (10
classes), VOCdevkit/VOC2007/ (300 + 200 images) and coco/ (120 + 60 images), each in its official layout; larger ones
work as well and take longer. docs/real_mini.md has the table and what it can and cannot show.
"""

from eval.table import Column, Row, Table

config = Table(
    name="real_mini",
    rows=(
        Row("Baseline", pretrain="pretrain/mini_baseline", reference="Baseline"),
        Row("Mixup", pretrain="pretrain/mini_mixup", reference="Mixup"),
        Row("Cutout", pretrain="pretrain/mini_cutout", reference="Cutout"),
        Row("CutMix", pretrain="pretrain/mini_cutmix", reference="CutMix"),
    ),
    columns=(
        Column("ImageNet top-1 error", ("transfer/mini_imagenet_eval",), "top1_error", "top1_error"),
        Column("ImageNet Loc (top-1, .15)", ("wsol/mini_imagenet_cam",), "top1_loc", "imagenet_loc"),
        Column("ImageNet MaxBoxAccV2", ("wsol/mini_imagenet_cam",), "maxboxacc_v2", "imagenet_v2"),
        Column("CUB Loc (top-1, .15)", ("transfer/mini_cub", "wsol/mini_cub_cam"), "top1_loc", "cub_loc"),
        Column("CUB MaxBoxAccV2", ("transfer/mini_cub", "wsol/mini_cub_cam"), "maxboxacc_v2", "cub_v2"),
        Column("VOC SSD mAP", ("transfer/mini_voc_ssd",), "map", "voc_ssd"),
        Column("VOC Faster R-CNN mAP", ("transfer/mini_voc_frcnn",), "map", "voc_frcnn"),
        Column("COCO captioning BLEU-4", ("transfer/mini_coco_nic",), "bleu4", "bleu4"),
    ),
    baseline="Baseline",
    references="references/cutmix_paper",
    notes=(
        "Subsets of hundreds of images, a few minutes of training, one seed: the numbers show that real files go "
        "through, not which method is better.",
    ),
)
