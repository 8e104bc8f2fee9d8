"""What the tables of WSOL methods share: a column for each method of fine-tuning, under either metric."""

from collections.abc import Mapping

from eval.table import Column

READ = (
    "Read along a row for the methods, which act while the classifier is fine-tuned, and down a column for the "
    "pretraining."
)
Chains = Mapping[str, tuple[str, str]]
"""Method -> its fine-tuning and its localization."""


def loc(data: str, chains: Chains) -> tuple[Column, ...]:
    """Top-1 Loc at .15; `data` begins the references' names ("cub", "imagenet")."""
    return tuple(
        Column(f"{method} Loc (top-1, .15)", chain, "top1_loc", f"{data}_{method.lower()}_loc")
        for method, chain in chains.items()
    )


def max_box_acc_v2(data: str, chains: Chains) -> tuple[Column, ...]:
    """MaxBoxAccV2."""
    return tuple(
        Column(f"{method} MaxBoxAccV2", chain, "maxboxacc_v2", f"{data}_{method.lower()}_v2")
        for method, chain in chains.items()
    )
