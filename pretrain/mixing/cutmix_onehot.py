"""One-hot CutMix: pixels as in CutMix, but the label is that of the larger part alone.

Source: Yun et al., "CutMix", arXiv 1905.04899v2, sec. 4.1, ablation (Table 8: 15.89 % on CIFAR-100, CutMix 14.47 %).
Where the parts are equal the image keeps its own label.
"""

from dataclasses import dataclass

from pretrain.mixing.base import Draw
from pretrain.mixing.cutmix import CutMix


@dataclass(frozen=True)
class OneHotCutMix(CutMix):
    """CutMix with the label of whichever image has more pixels."""

    def label_weight(self, draw: Draw) -> float:
        """1 where at least half of the image is its own, else 0."""
        return 1.0 if draw.lam >= 0.5 else 0.0
