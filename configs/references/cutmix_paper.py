"""The CutMix paper's numbers for ResNet-50: what each row scored on every task, and where its sources disagree.

The columns of MaxBoxAccV2 are wsolevaluation's numbers: the paper has none under that metric.

Source: Yun, Han, Oh, Chun, Choe, Yoo: "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
Features", ICCV 2019 (arXiv 1905.04899v2), and the authors' repository clovaai/CutMix-PyTorch at 2d8eb68.
MaxBoxAccV2: Choe, Oh, Lee, Chun, Akata, Shim: "Evaluating Weakly Supervised Object Localization Methods Right", CVPR
2020 (arXiv 2001.07437); the table of methods in the README of clovaai/wsolevaluation at 96f4b88.
Used by: tables that say `references="references/cutmix_paper"`.

The paper gives one number a cell and no spread: how many seeds stand behind a transfer column is not said.
"""

from eval.references import ReferenceColumn, References

ROWS = ("Baseline", "Mixup", "Cutout", "CutMix")
BEST = "The paper reports the best epoch, chosen on the validation set; here the last epoch counts."
NO_GAIN = (
    "Under MaxBoxAccV2 the paper's gain is absent: CutMix minus CAM on ResNet-50 is -0.4 on ImageNet and -0.2 on CUB,"
    " and -0.8 PxAP on OpenImages (wsolevaluation, commit 96f4b88, its README's table of methods)."
)
FINE_TUNED = (
    "wsolevaluation's CutMix mixes while it fine-tunes a plainly pretrained network, its Baseline is plain CAM; the"
    " rows here differ in their pretraining. For methods of fine-tuning see the tables `wsol` and `quick_wsol`."
)
NO_PROTOCOL = "The split of COCO that the paper used for captions is given as 120K / 40K images only."


def column(
    source: str, baseline: float, mixup: float, cutout: float, cutmix: float, *notes: str, decimals: int = 1
) -> ReferenceColumn:
    values = dict(zip(ROWS, (baseline, mixup, cutout, cutmix), strict=True))
    return ReferenceColumn(source, values, decimals=decimals, notes=notes)


def caption(metric: str, baseline: float, mixup: float, cutout: float, cutmix: float, *notes: str) -> ReferenceColumn:
    source = f"paper, table 10 and its appendix's full table: NIC on COCO, {metric} times 100"
    return column(source, baseline, mixup, cutout, cutmix, NO_PROTOCOL, *notes)


def maxboxacc_v2(data: str, baseline: float, cutmix: float) -> ReferenceColumn:
    source = f"not in the paper: wsolevaluation, README's table of methods: {data}, MaxBoxAccV2 of CAM and of CutMix"
    return ReferenceColumn(source, {"Baseline": baseline, "CutMix": cutmix}, notes=(NO_GAIN, FINE_TUNED))


config = References(
    title="CutMix paper (ICCV 2019), ResNet-50; for MaxBoxAccV2 wsolevaluation (CVPR 2020)",
    columns={
        "top1_error": column(
            "paper, table 3: ImageNet validation, top-1 error, 300 epochs",
            *(23.68, 22.58, 22.93, 21.40),
            BEST,
            "CutMix's top-1 error is 21.40 in the paper and 21.60 in its repository's transfer table; the authors' code"
            " run by others gave 21.59 (best epoch) and 21.77 (last).",
            decimals=2,
        ),
        "top5_error": column(
            "paper, table 3: ImageNet validation, top-5 error, 300 epochs",
            *(7.05, 6.40, 6.66, 5.92),
            BEST,
            decimals=2,
        ),
        "imagenet_loc": column(
            "paper, table 9: ImageNet top-1 localization, CAM thresholded at .15 of its maximum",
            *(46.30, 45.84, 46.69, 47.25),
            "CutMix's ImageNet Loc is 47.25 in the paper and 46.25 in its repository's transfer table.",
            NO_GAIN,
            decimals=2,
        ),
        "imagenet_v2": maxboxacc_v2("ImageNet", 63.7, 63.3),
        "cub_loc": column(
            "paper, table 9: CUB200-2011 top-1 localization, CAM thresholded at .15 of its maximum",
            *(49.41, 49.30, 52.78, 54.81),
            NO_GAIN,
            decimals=2,
        ),
        "cub_v2": maxboxacc_v2("CUB-200-2011", 63.0, 62.8),
        "voc_ssd": column(
            "paper, table 10: SSD300, trained on VOC07+12, mAP on VOC07 test",
            *(76.7, 76.6, 76.8, 77.6),
            "The paper's table 1 prints the Faster R-CNN numbers under the name SSD; these are table 10's.",
        ),
        "voc_frcnn": column(
            "paper, table 10: Faster R-CNN, trained on VOC07+12, mAP on VOC07 test",
            *(75.6, 73.9, 75.0, 76.7),
            "Cutout's mAP is 75.0 in the paper's table 10 and 75.1 in its table 1, which calls this column SSD.",
        ),
        "bleu1": caption("BLEU-1", 61.4, 61.6, 63.0, 64.2),
        "bleu2": caption("BLEU-2", 43.8, 44.1, 45.3, 46.3),
        "bleu3": caption("BLEU-3", 31.4, 31.6, 32.6, 33.6),
        "bleu4": caption("BLEU-4", 22.9, 23.2, 24.0, 24.9),
        "meteor": caption("METEOR", 22.8, 22.9, 22.6, 23.1),
        "rouge_l": caption(
            *("ROUGE_L", 44.7, 47.9, 48.2, 49.0),
            "The baseline's ROUGE of 44.7 stands far below the other rows and may be a misprint.",
        ),
        "cider": caption("CIDEr", 71.2, 72.2, 74.1, 77.6),
    },
)
