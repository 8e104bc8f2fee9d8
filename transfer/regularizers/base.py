"""The seam of what acts inside a network while it is trained: attached once, silent in every test.

For methods that change features rather than images; what changes images and labels is a `Mixing` (`core/mixing.py`).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Regularizer(ABC):
    """A way of disturbing a network's features in training."""

    @abstractmethod
    def attach(self, network: nn.Module) -> None:
        """Make `network`'s forward pass in training the regularized one, in place.

        By hooks, not by modules or tensors: the network's state dict keeps its keys, so that what was trained loads
        without the method; and in eval mode every output stays what it was. Randomness comes from torch's global
        generator on the CPU, which the loop seeds by (seed, step, rank).

        Raises:
            UserError: the network lacks a layer that the method names; the message lists those there are.
        """
