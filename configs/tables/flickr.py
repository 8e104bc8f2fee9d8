"""Captioning on Flickr8k and Flickr30k by Karpathy's splits: the smaller sets, hours where COCO takes days.

Source: each column's config. Published numbers are of other encoders and a BLEU without brevity penalty, so none stands
beside (docs/captioning.md).
Command: `make transfer-all TABLE=flickr DATA=folder`
"""

from eval.table import Column, Row, Table

NIC8, NIC30 = ("transfer/flickr8k_nic",), ("transfer/flickr30k_nic",)
ATTENTION8, ATTENTION30 = ("transfer/flickr8k_attention",), ("transfer/flickr30k_attention",)

config = Table(
    name="flickr",
    rows=(
        Row("Baseline", pretrain="pretrain/resnet50_baseline"),
        Row("Mixup", pretrain="pretrain/resnet50_mixup"),
        Row("Cutout", pretrain="pretrain/resnet50_cutout"),
        Row("CutMix", pretrain="pretrain/resnet50_cutmix"),
    ),
    columns=(
        Column("Flickr8k NIC BLEU-4", NIC8, "bleu4"),
        Column("Flickr8k NIC CIDEr", NIC8, "cider"),
        Column("Flickr8k attention BLEU-4", ATTENTION8, "bleu4"),
        Column("Flickr8k attention CIDEr", ATTENTION8, "cider"),
        Column("Flickr30k NIC BLEU-4", NIC30, "bleu4"),
        Column("Flickr30k NIC CIDEr", NIC30, "cider"),
        Column("Flickr30k attention BLEU-4", ATTENTION30, "bleu4"),
        Column("Flickr30k attention CIDEr", ATTENTION30, "cider"),
    ),
    seeds=(0, 1, 2),
    baseline="Baseline",
)
