"""Scheduled CutMix: the probability of mixing grows linearly while training goes on.

Source: Yun et al., "CutMix", arXiv 1905.04899v2, sec. 4.1, ablation (Table 8: 14.72 % on CIFAR-100, CutMix 14.47 %):
from 0 to 1, here to ``probability``.
"""

from dataclasses import dataclass

import torch

from pretrain.mixing.base import draw_applies
from pretrain.mixing.cutmix import CutMix


@dataclass(frozen=True)
class ScheduledCutMix(CutMix):
    """CutMix whose probability is ``progress * probability``."""

    def applies(self, generator: torch.Generator, progress: float) -> bool:
        """Draw whether this batch is mixed: never at the start."""
        return draw_applies(self.probability * progress, generator)
