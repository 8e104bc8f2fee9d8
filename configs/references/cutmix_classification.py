"""The CutMix paper's classification errors: ImageNet, CIFAR-100, CIFAR-10 and the ablations.

Source: Yun, Han, Oh, Chun, Choe, Yoo: "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
Features", ICCV 2019 (arXiv 1905.04899v2), tables 3 to 8, and the authors' repository clovaai/CutMix-PyTorch at 2d8eb68.
Used by: tables that say `references="references/cutmix_classification"`.

Every number is of the best epoch, chosen on the test set; on CIFAR the mean over three runs. Rows are named by network
and method.
"""

from eval.references import ReferenceColumn, References

BEST = "The paper reports the best epoch, chosen on the test set; here the last epoch counts."
BEST_OF_THREE = (
    "The paper reports the mean over three runs of each run's best epoch, chosen on the test set; here the last epoch"
    " counts."
)
RUNS = (
    "Top-1 error of single runs, PyramidNet-200. The authors' with CutMix: best 14.23, 14.50, 14.68, last 14.78, 15.44,"
    " 15.00 (issue 36 of their repository). Five of others, mean: CutMix best 14.96, last 15.91; baseline best 16.31,"
    " last 16.50; CutMix + ShakeDrop last 14.02 (issue 7)."
)
QUOTED = (
    "Quoted by the authors from other papers, trained by other recipes: DropBlock (270 epochs) and AutoAugment (in"
    " their README, not in the paper). ResNet-152 with CutMix is in their README only."
)
FEATURE = "Feature CutMix's top-1 error is 21.80 in table 3 and 21.78 in the text."
LIGHT = (
    "The authors' ResNet-110 with CutMix: best 20.52, 20.10, 19.72 (issue 10 of their repository); by another"
    " implementation of others 20.36, 20.21, 20.30 (ildoonet/cutmix, issue 6)."
)

# Row: top-1 error, top-5 error; None where the source has none.
Errors = dict[str, tuple[float, float | None]]

IMAGENET: Errors = {
    "ResNet-50": (23.68, 7.05),
    "ResNet-50 Cutout": (22.93, 6.66),
    "ResNet-50 stochastic depth": (22.46, 6.27),
    "ResNet-50 Mixup": (22.58, 6.40),
    "ResNet-50 Manifold Mixup": (22.50, 6.21),
    "ResNet-50 AutoAugment": (22.40, None),
    "ResNet-50 DropBlock": (21.87, 5.98),
    "ResNet-50 Feature CutMix": (21.80, 6.06),
    "ResNet-50 CutMix": (21.40, 5.92),
    "ResNet-101": (21.87, 6.29),
    "ResNet-101 Cutout": (20.72, 5.51),
    "ResNet-101 Mixup": (20.52, 5.28),
    "ResNet-101 CutMix": (20.17, 5.24),
    "ResNeXt-101": (21.18, 5.57),
    "ResNeXt-101 CutMix": (19.47, 5.03),
    "ResNet-152 CutMix": (19.20, None),
}

CIFAR100: Errors = {
    "PyramidNet-200": (16.45, 3.69),
    "PyramidNet-200 stochastic depth": (15.86, 3.33),
    "PyramidNet-200 label smoothing": (16.73, 3.37),
    "PyramidNet-200 Cutout": (16.53, 3.65),
    "PyramidNet-200 Cutout + label smoothing": (15.61, 3.88),
    "PyramidNet-200 DropBlock": (15.73, 3.26),
    "PyramidNet-200 DropBlock + label smoothing": (15.16, 3.86),
    "PyramidNet-200 Mixup (alpha .5)": (15.78, 4.04),
    "PyramidNet-200 Mixup": (15.63, 3.99),
    "PyramidNet-200 Manifold Mixup": (16.14, 4.07),
    "PyramidNet-200 Cutout + Mixup": (15.46, 3.42),
    "PyramidNet-200 Cutout + Manifold Mixup": (15.09, 3.35),
    "PyramidNet-200 ShakeDrop": (15.08, 2.72),
    "PyramidNet-200 CutMix": (14.47, 2.97),
    "PyramidNet-200 CutMix + ShakeDrop": (13.81, 2.29),
    "PyramidNet-110": (19.85, 4.66),
    "PyramidNet-110 CutMix": (17.97, 3.83),
    "ResNet-110": (23.14, 5.95),
    "ResNet-110 CutMix": (20.11, 4.43),
}

ABLATION: Errors = {
    "PyramidNet-200": (16.45, 3.69),
    "PyramidNet-200 CutMix": (14.47, 2.97),
    "Center Gaussian CutMix": (15.95, 3.40),
    "Fixed-size CutMix": (14.97, 3.15),
    "One-hot CutMix": (15.89, 3.32),
    "Scheduled CutMix": (14.72, 3.17),
    "Complete-label CutMix": (15.17, 3.10),
}

CIFAR10: Errors = {
    "PyramidNet-200": (3.85, None),
    "PyramidNet-200 Cutout": (3.10, None),
    "PyramidNet-200 Mixup": (3.09, None),
    "PyramidNet-200 Manifold Mixup": (3.15, None),
    "PyramidNet-200 CutMix": (2.88, None),
}


def top1(source: str, rows: Errors, *notes: str) -> ReferenceColumn:
    values = {name: error for name, (error, _) in rows.items()}
    return ReferenceColumn(f"{source}, top-1 error", values, decimals=2, notes=notes)


def top5(source: str, rows: Errors, *notes: str) -> ReferenceColumn:
    values = {name: error for name, (_, error) in rows.items() if error is not None}
    return ReferenceColumn(f"{source}, top-5 error", values, decimals=2, notes=notes)


T3 = "paper, tables 3 and 4: ImageNet validation, 300 epochs"
T5 = "paper, tables 5 and 6: CIFAR-100, 300 epochs"
T8 = "paper, table 8: CIFAR-100, PyramidNet-200, 300 epochs"

config = References(
    title="CutMix paper (ICCV 2019), classification",
    columns={
        "imagenet_top1": top1(T3, IMAGENET, BEST, QUOTED, FEATURE),
        "imagenet_top5": top5(T3, IMAGENET, BEST, QUOTED),
        "cifar100_top1": top1(T5, CIFAR100, BEST_OF_THREE, RUNS, LIGHT),
        "cifar100_top5": top5(T5, CIFAR100, BEST_OF_THREE),
        "ablation_top1": top1(T8, ABLATION, BEST_OF_THREE, RUNS),
        "ablation_top5": top5(T8, ABLATION, BEST_OF_THREE),
        "cifar10_top1": top1("paper, table 7: CIFAR-10, PyramidNet-200, 300 epochs", CIFAR10, BEST_OF_THREE),
    },
)
