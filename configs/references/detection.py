"""Published numbers of detection transfer with ResNet-50, beside the paper's four rows: by protocol.

Sources: the CutMix paper (arXiv 1905.04899v2), table 10, for the two columns on VOC; issue 13 of clovaai/CutMix-PyTorch
for COCO; facebookresearch/moco at 7397dfe, detection/README.md (means of 5 trials); detectron2's MODEL_ZOO.md at
02b5c4e. The last two have one supervised backbone, which stands in the row Baseline.
Used by: tables that say `references="references/detection"`.
"""

from eval.references import ReferenceColumn, References

ROWS = ("Baseline", "Mixup", "Cutout", "CutMix")
MOCO = "MoCo's detection/README.md: supervised ImageNet ResNet-50, C4, 24,000 steps, detectron2's evaluator"
ZOO = "detectron2's MODEL_ZOO.md: ResNet-50, C4, 18,000 steps, frozen batch norms, detectron2's evaluator"
FIVE = "MoCo's numbers are means of 5 trials with standard deviations of .2 (AP50), .2 (AP) and .4 (AP75)."
MSRA = "The zoo starts from MSRA's ResNet-50, the baseline of the other columns from torchvision's kind of ResNet-50."
UNSAID = (
    "The authors gave COCO's four numbers in issue 13 without neck, image size or schedule: compare the differences"
    " to the baseline. detectron2's zoo has 37.9 with FPN and 35.7 with C4."
)
EVALUATORS = (
    "The paper's SSD column is of ssd.pytorch's evaluator, its Faster R-CNN column of py-faster-rcnn's; both take 11"
    " points. How many trials stand behind a number is not said."
)


def paper(source: str, baseline: float, mixup: float, cutout: float, cutmix: float, *notes: str) -> ReferenceColumn:
    values = dict(zip(ROWS, (baseline, mixup, cutout, cutmix), strict=True))
    return ReferenceColumn(
        f"paper, table 10: {source}, VOC07+12, mAP on VOC07 test", values, notes=(EVALUATORS, *notes)
    )


def supervised(source: str, value: float, note: str) -> ReferenceColumn:
    return ReferenceColumn(source, {"Baseline": value}, notes=(note,))


config = References(
    title="CutMix paper and its issue 13, MoCo, detectron2's model zoo; ResNet-50",
    columns={
        "voc_ssd": paper("SSD300", 76.7, 76.6, 76.8, 77.6),
        "voc_frcnn": paper(
            *("Faster R-CNN", 75.6, 73.9, 75.0, 76.7),
            "Cutout's mAP is 75.0 in the paper's table 10 and 75.1 in its table 1, which calls this column SSD.",
        ),
        "moco_ap50": supervised(f"{MOCO}, AP50", 81.3, FIVE),
        "moco_ap": supervised(f"{MOCO}, AP", 53.5, FIVE),
        "moco_ap75": supervised(f"{MOCO}, AP75", 58.8, FIVE),
        "zoo_c4_ap50": supervised(f"{ZOO}, AP50", 80.3, MSRA),
        "zoo_c4_ap": supervised(f"{ZOO}, AP", 51.9, MSRA),
        "coco_ap": ReferenceColumn(
            "clovaai/CutMix-PyTorch, issue 13: Faster R-CNN, MS-COCO, mAP",
            dict(zip(ROWS, (33.27, 34.18, 34.28, 35.16), strict=True)),
            decimals=2,
            notes=(UNSAID,),
        ),
    },
)
