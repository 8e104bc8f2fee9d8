"""CAM, HaS, ADL and CutMix on ImageNet by wsolevaluation's protocol, ResNet-50.

Source: clovaai/wsolevaluation at commit 96f4b88: 10 epochs, whole images, MaxBoxAccV2; top-1 Loc at .15 of the same
cells stands beside it (the CutMix paper's own protocol is in the table `paper`). That code starts from torchvision's
first weights, the last row.
Command: `make transfer-all TABLE=wsol_imagenet DATA=folder`; ROWS=timm-resnet50.tv_in1k needs no pretraining.
"""

from eval.table import Column, Row, Table

CHAINS = {
    "CAM": ("transfer/imagenet_wsolevaluation", "wsol/imagenet_wsolevaluation"),
    "HaS": ("transfer/imagenet_wsolevaluation_has", "wsol/imagenet_wsolevaluation"),
    "ADL": ("transfer/imagenet_wsolevaluation_adl", "wsol/imagenet_wsolevaluation"),
    "CutMix": ("transfer/imagenet_wsolevaluation_cutmix", "wsol/imagenet_wsolevaluation"),
}

config = Table(
    name="wsol_imagenet",
    rows=(
        Row("Baseline", pretrain="pretrain/resnet50_baseline", reference="Baseline"),
        Row("CutMix", pretrain="pretrain/resnet50_cutmix"),
        Row("HaS", pretrain="pretrain/resnet50_has"),
        Row("torchvision's weights", backbone="timm:resnet50.tv_in1k", reference="Baseline"),
    ),
    columns=(
        *(
            Column(f"{method} Loc (top-1, .15)", chain, "top1_loc", f"imagenet_{method.lower()}_loc")
            for method, chain in CHAINS.items()
        ),
        *(
            Column(f"{method} MaxBoxAccV2", chain, "maxboxacc_v2", f"imagenet_{method.lower()}_v2")
            for method, chain in CHAINS.items()
        ),
    ),
    baseline="Baseline",
    references="references/wsol",
    notes=(
        "Read along a row for the methods, which act while the classifier is fine-tuned, and down a column for the "
        "pretraining.",
        "The published Loc is the CutMix paper's, of its own protocol: 20 epochs and a centre crop.",
    ),
)
