"""Does a way of pretraining transfer to detection? The paper's four rows by every protocol of detection here.

Source: `configs/references/detection.py`; each column's config says where its recipe comes from. docs/detection.md sets
the protocols side by side. Three seeds: MoCo's authors find standard deviations of .2 to .4 and recommend five.
Command: `make transfer-all TABLE=detection DATA=folder`; the table `detection_short` takes a quarter of the steps.
"""

from eval.table import Column, Row, Table

MOCO, ZOO_C4, ZOO_FPN = ("transfer/voc_frcnn_moco",), ("transfer/voc_frcnn_zoo_c4",), ("transfer/voc_frcnn_zoo_fpn",)
COCO = ("transfer/coco_frcnn",)

config = Table(
    name="detection",
    rows=(
        Row("Baseline", pretrain="pretrain/resnet50_baseline", reference="Baseline"),
        Row("Mixup", pretrain="pretrain/resnet50_mixup", reference="Mixup"),
        Row("Cutout", pretrain="pretrain/resnet50_cutout", reference="Cutout"),
        Row("CutMix", pretrain="pretrain/resnet50_cutmix", reference="CutMix"),
    ),
    columns=(
        Column("VOC SSD mAP", ("transfer/voc_ssd",), "map", "voc_ssd"),
        Column("VOC Faster R-CNN mAP", ("transfer/voc_frcnn",), "map", "voc_frcnn"),
        Column("VOC MoCo protocol AP50", MOCO, "map", "moco_ap50"),
        Column("VOC MoCo protocol AP", MOCO, "ap", "moco_ap"),
        Column("VOC MoCo protocol AP75", MOCO, "ap75", "moco_ap75"),
        Column("VOC zoo C4 AP50", ZOO_C4, "map", "zoo_c4_ap50"),
        Column("VOC zoo C4 AP", ZOO_C4, "ap", "zoo_c4_ap"),
        Column("VOC zoo FPN AP50", ZOO_FPN, "map"),
        Column("VOC zoo FPN AP", ZOO_FPN, "ap"),
        Column("COCO Faster R-CNN AP", COCO, "ap", "coco_ap"),
    ),
    seeds=(0, 1, 2),
    baseline="Baseline",
    references="references/detection",
    notes=(
        "One learning rate for all rows, the protocol's. The best one depends on the pretraining (VISSL's rates for its"
        " models lie between .002 and .10), so a row that loses may lose by its rate.",
    ),
)
