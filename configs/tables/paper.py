"""The CutMix paper's transfer table in full: ResNet-50, ImageNet, CUB-200-2011, VOC07+12, COCO.

Source: Yun et al., ICCV 2019 (arXiv 1905.04899), tables 3, 9, 10 and appendices A to D. What they used and we do not:
the WSOL, detection and captioning code of that time; each config's docstring says what stands in its place.
Command: `make transfer-all TABLE=paper DATA=folder`; `python -m launch configs/tables/paper.py --dry-run` lists the
cells, their commands and data first.
"""

from eval.table import Column, Row, Table

IMAGENET_CAM = ("transfer/imagenet_wsol", "wsol/imagenet_cam")
CUB_CAM = ("transfer/cub", "wsol/cub_cam")

config = Table(
    name="paper",
    rows=(
        Row("Baseline", pretrain="pretrain/resnet50_baseline", reference="Baseline"),
        Row("Mixup", pretrain="pretrain/resnet50_mixup", reference="Mixup"),
        Row("Cutout", pretrain="pretrain/resnet50_cutout", reference="Cutout"),
        Row("CutMix", pretrain="pretrain/resnet50_cutmix", reference="CutMix"),
    ),
    columns=(
        Column("ImageNet top-1 error", ("transfer/imagenet_eval",), "top1_error", "top1_error"),
        Column("ImageNet Loc (top-1, .15)", IMAGENET_CAM, "top1_loc", "imagenet_loc"),
        Column("ImageNet MaxBoxAccV2", IMAGENET_CAM, "maxboxacc_v2", "imagenet_v2"),
        Column("CUB Loc (top-1, .15)", CUB_CAM, "top1_loc", "cub_loc"),
        Column("CUB MaxBoxAccV2", CUB_CAM, "maxboxacc_v2", "cub_v2"),
        Column("VOC SSD mAP", ("transfer/voc_ssd",), "map", "voc_ssd"),
        Column("VOC Faster R-CNN mAP", ("transfer/voc_frcnn",), "map", "voc_frcnn"),
        Column("COCO captioning BLEU-4", ("transfer/coco_nic",), "bleu4", "bleu4"),
    ),
    baseline="Baseline",
    references="references/cutmix_paper",
    notes=(
        "Ours: the last epoch's backbone; the paper: the best epoch on the test set. VOC's AP is of 11 points, by the "
        "evaluator of each detector's source (ssd.pytorch, py-faster-rcnn), as the paper's; other evaluators differ.",
    ),
)
