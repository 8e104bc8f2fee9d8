"""Labels of mixed images, and their loss, without an [N, K] one-hot.

N images of a batch, K classes. A mixed image has two labels and the weight ``lam`` of the first.
Source: mixup (Zhang et al., arXiv 1710.09412) and CutMix (Yun et al., arXiv 1905.04899), sec. 3.1.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Targets:
    """What a batch should be classified as: ``lam`` of class ``labels_a[i]``, the rest of class ``labels_b[i]``."""

    labels_a: Tensor
    """[N] int64: the labels of the images themselves."""
    labels_b: Tensor
    """[N] int64: the labels of what was mixed in."""
    lam: float = 1.0
    """The first labels' weight, in [0, 1]; one for the whole batch."""


def soft_cross_entropy(logits: Tensor, targets: Targets) -> Tensor:
    """Return ``lam * CE(labels_a) + (1 - lam) * CE(labels_b)``, the mean over the batch, with one log-softmax.

    ``logits``: [N, K]. Returns a scalar in nats.
    """
    log_probabilities = functional.log_softmax(logits, dim=1)  # [N, K]
    own = functional.nll_loss(log_probabilities, targets.labels_a)
    if targets.lam == 1.0:
        return own
    other = functional.nll_loss(log_probabilities, targets.labels_b)
    return targets.lam * own + (1.0 - targets.lam) * other
