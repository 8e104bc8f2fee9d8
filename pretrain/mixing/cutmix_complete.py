"""Complete-label CutMix: pixels as in CutMix, but both labels count half, however large the box.

Source: Yun et al., "CutMix", arXiv 1905.04899v2, sec. 4.1, ablation (Table 8: 15.17 % on CIFAR-100, CutMix 14.47 %).
"""

from dataclasses import dataclass

from pretrain.mixing.base import Draw
from pretrain.mixing.cutmix import CutMix


@dataclass(frozen=True)
class CompleteLabelCutMix(CutMix):
    """CutMix with labels .5 and .5."""

    def label_weight(self, draw: Draw) -> float:
        """A half, wherever there is a partner."""
        return 1.0 if draw.partner is None else 0.5
