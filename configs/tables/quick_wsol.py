"""Do WSOL methods localize better, and do they still by MaxBoxAccV2? CAM, HaS, ADL and CutMix on the synthetic world.

Rows are pretrainings, columns are what acts while the classifier is fine-tuned, under two metrics of the same cells.
Command: `make transfer-all TABLE=quick_wsol`; two of its three pretrainings are those of the table `quick`. It shows
how such a table is made and read; which method wins on so small a world says nothing. The real one: `wsol`.
"""

from eval.table import Column, Row, Table

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
    columns=(
        *(
            Column(f"{method} Loc (top-1, .15)", chain, "top1_loc", f"cub_{method.lower()}_loc")
            for method, chain in CHAINS.items()
        ),
        *(
            Column(f"{method} MaxBoxAccV2", chain, "maxboxacc_v2", f"cub_{method.lower()}_v2")
            for method, chain in CHAINS.items()
        ),
    ),
    baseline="Baseline",
    references="references/wsol",
    notes=(
        "Read along a row for the methods, which act while the classifier is fine-tuned, and down a column for the "
        "pretraining.",
        "Synthetic world, seconds of fine-tuning, one seed: the numbers show that the way works, not which method is "
        "better.",
    ),
)
