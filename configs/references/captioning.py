"""Published numbers of captioning on COCO, beside the paper's four rows: by protocol.

Sources: the CutMix paper (arXiv 1905.04899v2), table 10 and its appendix, for NIC; aaronma2020/caption_zoo at c8dc20a,
train/nic/README.md, for NIC with 512 units (an Inception v3, which stands in the row Baseline).
Used by: tables that say `references="references/captioning"`.
"""

from configs.references.cutmix_paper import config as paper
from eval.references import ReferenceColumn, References

PAPER = ("bleu1", "bleu2", "bleu3", "bleu4", "meteor", "rouge_l", "cider")
INCEPTION = (
    "caption_zoo's encoder is an Inception v3, and its split is a shuffle of its own of the same images, called"
    " Karpathy's; whether its numbers are of val or test is not said."
)
ZOO = "aaronma2020/caption_zoo, train/nic/README.md: NIC with 512 units, Inception v3"


def zoo(how: str, metric: str, value: float) -> ReferenceColumn:
    """A number of caption_zoo's README."""
    return ReferenceColumn(f"{ZOO}, {how}, {metric}", {"Baseline": value}, notes=(INCEPTION,))


config = References(
    title="CutMix paper (ICCV 2019), ResNet-50; for NIC with 512 units caption_zoo",
    columns={
        **{name: paper.columns[name] for name in PAPER},
        "nic_512_frozen_bleu4": zoo("frozen", "BLEU-4", 26.2),
        "nic_512_frozen_cider": zoo("frozen", "CIDEr", 79.0),
        "nic_512_bleu4": zoo("fine-tuned", "BLEU-4", 30.0),
        "nic_512_cider": zoo("fine-tuned", "CIDEr", 94.7),
    },
)
