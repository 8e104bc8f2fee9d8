"""Do WSOL methods localize better, and do they still by MaxBoxAccV2? CAM, HaS, ADL and CutMix on the synthetic world.

Rows are pretrainings, columns are what acts while the classifier is fine-tuned, under two metrics of the same cells.
Command: `make transfer-all TABLE=quick_wsol`; two of its three pretrainings are those of the table `quick`. It shows
how such a table is made and read; which method wins on so small a world says nothing. The real one: `wsol`.
"""

from configs.tables._wsol import READ, loc, max_box_acc_v2
from eval.table import Row, Table

CHAINS = {
    "CAM": ("transfer/quick_cub", "wsol/quick_cub_cam"),
    "HaS": ("transfer/quick_cub_has", "wsol/quick_cub_cam"),
    "ADL": ("transfer/quick_cub_adl", "wsol/quick_cub_cam"),
    "CutMix": ("transfer/quick_cub_cutmix", "wsol/quick_cub_cam"),
}

config = Table(
    name="quick_wsol",
    rows=(
        Row("Baseline", pretrain="pretrain/quick_baseline", reference="Baseline"),
        Row("CutMix", pretrain="pretrain/quick_cutmix"),
        Row("HaS", pretrain="pretrain/quick_has"),
    ),
    columns=(*loc("cub", CHAINS), *max_box_acc_v2("cub", CHAINS)),
    baseline="Baseline",
    references="references/wsol",
    notes=(
        READ,
        "Synthetic world, seconds of fine-tuning, one seed: the numbers show that the way works, not which method is "
        "better.",
    ),
)
