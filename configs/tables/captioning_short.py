"""Captioning in a tenth (the paper's NIC) and a quarter of the epochs, frozen encoders, one seed.

Source: `transfer/schedules.py` divides the lengths; no published number belongs beside it.
Command: `make transfer-all TABLE=captioning_short DATA=folder`
"""

from eval.table import Column, Row, Table

NIC, FROZEN = ("transfer/coco_nic_short",), ("transfer/coco_nic_512_frozen_short",)
ATTENTION = ("transfer/coco_attention_frozen_short",)

config = Table(
    name="captioning_short",
    rows=(
        Row("Baseline", pretrain="pretrain/resnet50_baseline"),
        Row("Mixup", pretrain="pretrain/resnet50_mixup"),
        Row("Cutout", pretrain="pretrain/resnet50_cutout"),
        Row("CutMix", pretrain="pretrain/resnet50_cutmix"),
    ),
    columns=(
        Column("NIC BLEU-4", NIC, "bleu4"),
        Column("NIC CIDEr", NIC, "cider"),
        Column("NIC 512 BLEU-4", FROZEN, "bleu4"),
        Column("NIC 512 CIDEr", FROZEN, "cider"),
        Column("Attention BLEU-4", ATTENTION, "bleu4"),
        Column("Attention CIDEr", ATTENTION, "cider"),
    ),
    baseline="Baseline",
    notes=("NIC is tested on val2014, the others on Karpathy's test split: compare within a column.",),
)
