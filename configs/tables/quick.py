"""The embedded default: four pretrainings, every column, on a synthetic world, in minutes on two CPU cores.

Command: `make transfer-all`. It shows that the whole way works and how a table is read; which method wins on so small
a world says nothing about ImageNet. For that: `configs/tables/paper.py`.
"""

from eval.table import Column, Row, Table

config = Table(
    name="quick",
    rows=(
        Row("Baseline", pretrain="pretrain/quick_baseline", reference="Baseline"),
        Row("Mixup", pretrain="pretrain/quick_mixup", reference="Mixup"),
        Row("Cutout", pretrain="pretrain/quick_cutout", reference="Cutout"),
        Row("CutMix", pretrain="pretrain/quick_cutmix", reference="CutMix"),
    ),
    columns=(
        Column("ImageNet top-1 error", ("transfer/quick_imagenet_eval",), "top1_error", "top1_error"),
        Column("ImageNet Loc (top-1, .15)", ("wsol/quick_imagenet_cam",), "top1_loc", "imagenet_loc"),
        Column("ImageNet MaxBoxAccV2", ("wsol/quick_imagenet_cam",), "maxboxacc_v2", "imagenet_v2"),
        Column("CUB Loc (top-1, .15)", ("transfer/quick_cub", "wsol/quick_cub_cam"), "top1_loc", "cub_loc"),
        Column("CUB MaxBoxAccV2", ("transfer/quick_cub", "wsol/quick_cub_cam"), "maxboxacc_v2", "cub_v2"),
        Column("VOC SSD mAP", ("transfer/quick_voc_ssd",), "map", "voc_ssd"),
        Column("VOC Faster R-CNN mAP", ("transfer/quick_voc_frcnn",), "map", "voc_frcnn"),
        Column("COCO captioning BLEU-4", ("transfer/quick_coco_nic",), "bleu4", "bleu4"),
    ),
    baseline="Baseline",
    references="references/cutmix_paper",
    notes=(
        "Synthetic world, minutes of training, one seed: the numbers show that the way works, not which method is "
        "better. The paper's numbers beside them are for ImageNet, CUB200, VOC and COCO.",
    ),
)
