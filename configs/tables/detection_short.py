"""The table `detection` in a quarter of the steps, one seed: the same rows, a column for each kind of detector.

Source: `transfer/schedules.py` divides length and marks by 4; no published number belongs beside it.
Command: `make transfer-all TABLE=detection_short DATA=folder`
"""

from eval.table import Column, Row, Table

config = Table(
    name="detection_short",
    rows=(
        Row("Baseline", pretrain="pretrain/resnet50_baseline"),
        Row("Mixup", pretrain="pretrain/resnet50_mixup"),
        Row("Cutout", pretrain="pretrain/resnet50_cutout"),
        Row("CutMix", pretrain="pretrain/resnet50_cutmix"),
    ),
    columns=(
        Column("VOC SSD mAP", ("transfer/voc_ssd_short",), "map"),
        Column("VOC Faster R-CNN mAP", ("transfer/voc_frcnn_short",), "map"),
        Column("VOC MoCo protocol AP50", ("transfer/voc_frcnn_moco_short",), "map"),
        Column("VOC MoCo protocol AP", ("transfer/voc_frcnn_moco_short",), "ap"),
        Column("COCO Faster R-CNN AP", ("transfer/coco_frcnn_short",), "ap"),
    ),
    baseline="Baseline",
)
