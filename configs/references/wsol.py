"""Published localization of methods that act while a ResNet-50 is fine-tuned: CAM, HaS, ADL, CutMix.

Sources: Yun et al., "CutMix", ICCV 2019 (arXiv 1905.04899v2), table 9, for top-1 Loc; Choe et al., "Evaluating Weakly
Supervised Object Localization Methods Right", CVPR 2020 (arXiv 2001.07437), by the table of methods in the README of
clovaai/wsolevaluation at 96f4b88, for MaxBoxAccV2. That table prints CAM's number and each method's difference to it.
Used by: tables that say `references="references/wsol"`. One row: the network before was pretrained plainly.
"""

from eval.references import ReferenceColumn, References

NO_GAIN = (
    "Under MaxBoxAccV2 the paper's gain is absent: CutMix minus CAM on ResNet-50 is -0.4 on ImageNet and -0.2 on CUB,"
    " and -0.8 PxAP on OpenImages (wsolevaluation, commit 96f4b88, its README's table of methods)."
)
SEARCHED = "wsolevaluation searched learning rate and the method's values for each number; here they are the defaults."
LOC = {"imagenet_cam": 46.30, "imagenet_cutmix": 47.25, "cub_cam": 49.41, "cub_cutmix": 54.81}
CAM_V2 = {"imagenet": 63.7, "cub": 63.0}
DIFFERENCE_V2 = {
    "cam": {"imagenet": 0.0, "cub": 0.0},
    "has": {"imagenet": -0.3, "cub": 1.7},
    "adl": {"imagenet": 0.0, "cub": -4.6},
    "cutmix": {"imagenet": -0.4, "cub": -0.2},
}


def loc(data: str, method: str) -> ReferenceColumn:
    value = LOC.get(f"{data}_{method}")
    if value is None:
        source = "no published number for this ResNet-50: the CutMix paper has this method on other networks"
        return ReferenceColumn(source, {}, notes=(NO_GAIN,))
    source = "CutMix paper, table 9: top-1 localization, CAM thresholded at .15 of its maximum"
    return ReferenceColumn(source, {"Baseline": value}, decimals=2, notes=(NO_GAIN,))


def v2(data: str, method: str) -> ReferenceColumn:
    value = round(CAM_V2[data] + DIFFERENCE_V2[method][data], 1)
    source = "wsolevaluation, README's table of methods: ResNet-50, MaxBoxAccV2"
    return ReferenceColumn(source, {"Baseline": value}, notes=(NO_GAIN, SEARCHED))


config = References(
    title="CutMix paper, table 9 (Loc), and wsolevaluation (MaxBoxAccV2), ResNet-50",
    columns={
        **{f"{data}_{method}_loc": loc(data, method) for data in CAM_V2 for method in DIFFERENCE_V2},
        **{f"{data}_{method}_v2": v2(data, method) for data in CAM_V2 for method in DIFFERENCE_V2},
    },
)
