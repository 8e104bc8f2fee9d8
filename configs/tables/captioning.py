"""Does a way of pretraining transfer to captioning? The paper's four rows by every protocol of captioning here.

Source: `configs/references/captioning.py`; each column's config says where its recipe comes from. docs/captioning.md
sets the protocols side by side. The paper's protocol comes first, with all seven of the paper's metrics.
Command: `make transfer-all TABLE=captioning DATA=folder`; the table `captioning_short` takes a tenth to a quarter.
"""

from eval.table import Column, Row, Table

NIC, FROZEN, FINETUNED = ("transfer/coco_nic",), ("transfer/coco_nic_512_frozen",), ("transfer/coco_nic_512",)
ATTENTION_FROZEN, ATTENTION = ("transfer/coco_attention_frozen",), ("transfer/coco_attention",)

config = Table(
    name="captioning",
    rows=(
        Row("Baseline", pretrain="pretrain/resnet50_baseline", reference="Baseline"),
        Row("Mixup", pretrain="pretrain/resnet50_mixup", reference="Mixup"),
        Row("Cutout", pretrain="pretrain/resnet50_cutout", reference="Cutout"),
        Row("CutMix", pretrain="pretrain/resnet50_cutmix", reference="CutMix"),
    ),
    columns=(
        Column("NIC BLEU-1", NIC, "bleu1", "bleu1"),
        Column("NIC BLEU-2", NIC, "bleu2", "bleu2"),
        Column("NIC BLEU-3", NIC, "bleu3", "bleu3"),
        Column("NIC BLEU-4", NIC, "bleu4", "bleu4"),
        Column("NIC METEOR", NIC, "meteor", "meteor"),
        Column("NIC ROUGE_L", NIC, "rouge_l", "rouge_l"),
        Column("NIC CIDEr", NIC, "cider", "cider"),
        Column("NIC 512 frozen BLEU-4", FROZEN, "bleu4", "nic_512_frozen_bleu4"),
        Column("NIC 512 frozen CIDEr", FROZEN, "cider", "nic_512_frozen_cider"),
        Column("NIC 512 fine-tuned BLEU-4", FINETUNED, "bleu4", "nic_512_bleu4"),
        Column("NIC 512 fine-tuned CIDEr", FINETUNED, "cider", "nic_512_cider"),
        Column("Attention frozen BLEU-4", ATTENTION_FROZEN, "bleu4"),
        Column("Attention frozen CIDEr", ATTENTION_FROZEN, "cider"),
        Column("Attention fine-tuned BLEU-4", ATTENTION, "bleu4"),
        Column("Attention fine-tuned CIDEr", ATTENTION, "cider"),
    ),
    seeds=(0, 1, 2),
    baseline="Baseline",
    references="references/captioning",
    notes=(
        "NIC is trained on train2014 and tested on val2014, the others on Karpathy's split: compare within a column.",
    ),
)
