"""Published numbers of captioning on COCO, beside the paper's four rows: by protocol.

Sources: the CutMix paper (arXiv 1905.04899v2), table 10 and its appendix, for NIC; aaronma2020/caption_zoo at c8dc20a,
train/nic/README.md, for NIC with 512 units (an Inception v3, which stands in the row Baseline).
Used by: tables that say `references="references/captioning"`.
"""

from eval.references import ReferenceColumn, References

ROWS = ("Baseline", "Mixup", "Cutout", "CutMix")
NO_PROTOCOL = "The split of COCO that the paper used for captions is given as 120K / 40K images only."
INCEPTION = (
    "caption_zoo's encoder is an Inception v3, and its split is a shuffle of its own of the same images, called"
    " Karpathy's; whether its numbers are of val or test is not said."
)
ZOO = "aaronma2020/caption_zoo, train/nic/README.md: NIC with 512 units, Inception v3"


def paper(metric: str, baseline: float, mixup: float, cutout: float, cutmix: float, *notes: str) -> ReferenceColumn:
    """A column of the paper's appendix."""
    values = dict(zip(ROWS, (baseline, mixup, cutout, cutmix), strict=True))
    source = f"paper, table 10 and its appendix's full table: NIC on COCO, {metric} times 100"
    return ReferenceColumn(source, values, notes=(NO_PROTOCOL, *notes))


def zoo(how: str, metric: str, value: float) -> ReferenceColumn:
    """A number of caption_zoo's README."""
    return ReferenceColumn(f"{ZOO}, {how}, {metric}", {"Baseline": value}, notes=(INCEPTION,))


config = References(
    title="CutMix paper (ICCV 2019), ResNet-50; for NIC with 512 units caption_zoo",
    columns={
        "bleu1": paper("BLEU-1", 61.4, 61.6, 63.0, 64.2),
        "bleu2": paper("BLEU-2", 43.8, 44.1, 45.3, 46.3),
        "bleu3": paper("BLEU-3", 31.4, 31.6, 32.6, 33.6),
        "bleu4": paper("BLEU-4", 22.9, 23.2, 24.0, 24.9),
        "meteor": paper("METEOR", 22.8, 22.9, 22.6, 23.1),
        "rouge_l": paper(
            *("ROUGE_L", 44.7, 47.9, 48.2, 49.0),
            "The baseline's ROUGE of 44.7 stands far below the other rows and may be a misprint.",
        ),
        "cider": paper("CIDEr", 71.2, 72.2, 74.1, 77.6),
        "nic_512_frozen_bleu4": zoo("frozen", "BLEU-4", 26.2),
        "nic_512_frozen_cider": zoo("frozen", "CIDEr", 79.0),
        "nic_512_bleu4": zoo("fine-tuned", "BLEU-4", 30.0),
        "nic_512_cider": zoo("fine-tuned", "CIDEr", 94.7),
    },
)
