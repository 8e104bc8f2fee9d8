"""CAM, HaS, ADL and CutMix on CUB-200-2011 by two protocols, ResNet-50: does a method's gain outlive the protocol?

Source: the four Loc columns follow the CutMix paper (section 4.2: 600 epochs, centre crop, threshold .15, top-1 Loc),
the four MaxBoxAccV2 columns wsolevaluation (50 epochs, whole images). That code starts from torchvision's first
weights, the last row; the other rows are pretrainings of ours, which differ in their mixing.
Command: `make transfer-all TABLE=wsol DATA=folder`; ROWS=timm-resnet50.tv_in1k needs no pretraining.
"""

from eval.table import Column, Row, Table

PAPER = {
    "CAM": ("transfer/cub", "wsol/cub_cam"),
    "HaS": ("transfer/cub_has", "wsol/cub_cam"),
    "ADL": ("transfer/cub_adl", "wsol/cub_cam"),
    "CutMix": ("transfer/cub_cutmix", "wsol/cub_cam"),
}
WSOLEVALUATION = {
    "CAM": ("transfer/cub_wsolevaluation", "wsol/cub_wsolevaluation"),
    "HaS": ("transfer/cub_wsolevaluation_has", "wsol/cub_wsolevaluation"),
    "ADL": ("transfer/cub_wsolevaluation_adl", "wsol/cub_wsolevaluation"),
    "CutMix": ("transfer/cub_wsolevaluation_cutmix", "wsol/cub_wsolevaluation"),
}

config = Table(
    name="wsol",
    rows=(
        Row("Baseline", pretrain="pretrain/resnet50_baseline", reference="Baseline"),
        Row("CutMix", pretrain="pretrain/resnet50_cutmix"),
        Row("HaS", pretrain="pretrain/resnet50_has"),
        Row("torchvision's weights", backbone="timm:resnet50.tv_in1k", reference="Baseline"),
    ),
    columns=(
        *(
            Column(f"{method} Loc (top-1, .15)", chain, "top1_loc", f"cub_{method.lower()}_loc")
            for method, chain in PAPER.items()
        ),
        *(
            Column(f"{method} MaxBoxAccV2", chain, "maxboxacc_v2", f"cub_{method.lower()}_v2")
            for method, chain in WSOLEVALUATION.items()
        ),
    ),
    baseline="Baseline",
    references="references/wsol",
    notes=(
        "Read along a row for the methods, which act while the classifier is fine-tuned, and down a column for the "
        "pretraining.",
        "Loc and MaxBoxAccV2 are of two trainings, each by its own protocol; every result.json holds both metrics.",
    ),
)
