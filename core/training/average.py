"""The exponential moving average of a network's weights and buffers (EMA)."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """The average of a model's tensors over the steps; the same numbers as torch's AveragedModel with use_buffers.

    It holds tensors, not a second network, so that hooks and compiled code are the trained network's own.
    Counts (tensors of whole numbers, as BatchNorm's num_batches_tracked) are not averaged but the newest.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = model
        self._average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        self.tensors: dict[str, Tensor] = {}
        """By name in the model's state_dict; empty before the first step."""

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step."""
        now = self.model.state_dict()
        if not self.tensors:
            self.tensors = {name: tensor.clone() for name, tensor in now.items()}
            return
        averaged = [name for name, tensor in now.items() if tensor.is_floating_point()]
        self._average([self.tensors[name] for name in averaged], [now[name] for name in averaged], None)
        for name in now.keys() - set(averaged):
            self.tensors[name].copy_(now[name])

    @torch.no_grad()
    def give(self) -> None:
        """Copy the average into the model, in place. Before the first step nothing happens."""
        now = self.model.state_dict()
        for name, tensor in self.tensors.items():
            now[name].copy_(tensor)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Within, the model has the averaged weights; after, those that are trained, with the same bits."""
        trained = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.give()
        try:
            yield
        finally:
            self.model.load_state_dict(trained)

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Go on from a checkpoint's average."""
        now = self.model.state_dict()
        self.tensors = {name: tensor.to(now[name].device, copy=True) for name, tensor in tensors.items()}
