"""NIC and attention on 120 real images of COCO, tested on 60: proof that real files go through both, and all metrics.

Command: `make transfer-all TABLE=mini_captioning DATA=folder`, the folder holding imagenet/ and coco/ as for the table
`real_mini`, whose pretrainings and captioning column it shares.
"""

from eval.table import Column, Row, Table

NIC, NIC_FINETUNED = ("transfer/mini_coco_nic",), ("transfer/mini_coco_nic_finetuned",)
ATTENTION, ATTENTION_FINETUNED = ("transfer/mini_coco_attention",), ("transfer/mini_coco_attention_finetuned",)

config = Table(
    name="mini_captioning",
    rows=(
        Row("Baseline", pretrain="pretrain/mini_baseline"),
        Row("Mixup", pretrain="pretrain/mini_mixup"),
        Row("Cutout", pretrain="pretrain/mini_cutout"),
        Row("CutMix", pretrain="pretrain/mini_cutmix"),
    ),
    columns=(
        Column("NIC BLEU-4", NIC, "bleu4"),
        Column("NIC METEOR", NIC, "meteor"),
        Column("NIC ROUGE_L", NIC, "rouge_l"),
        Column("NIC CIDEr", NIC, "cider"),
        Column("NIC fine-tuned BLEU-4", NIC_FINETUNED, "bleu4"),
        Column("NIC fine-tuned CIDEr", NIC_FINETUNED, "cider"),
        Column("Attention BLEU-4", ATTENTION, "bleu4"),
        Column("Attention CIDEr", ATTENTION, "cider"),
        Column("Attention fine-tuned BLEU-4", ATTENTION_FINETUNED, "bleu4"),
        Column("Attention fine-tuned CIDEr", ATTENTION_FINETUNED, "cider"),
    ),
    baseline="Baseline",
    notes=("120 images to train on, 60 to test, one seed: this shows that the way works, not which method is better.",),
)
