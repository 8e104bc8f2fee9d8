"""What a training step does with a batch: normalise, mix, run the network, score it against the mixed labels.

`batch -> mixing -> network -> soft-target loss`; nothing here names a method. A batch is never written to, since rows
that are trained side by side share it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from core.backbone import Spec
from core.errors import UserError
from core.mixing import INPUT, Mixing, Placed, mixed_targets
from core.normalize import normalize
from core.peers import Peers, one_process
from core.scheduled import Scheduled
from core.sites import Sites
from core.targets import soft_cross_entropy


class Objective:
    """The loss of a classifier that is trained with a mixing."""

    def __init__(self, mixing: Mixing, spec: Spec, smoothing: float = 0.0, peers: Peers | None = None) -> None:
        """Put it together.

        Args:
            mixing: the method.
            spec: whose mean and standard deviation the images are normalised by.
            smoothing: label smoothing, in [0, 1): the share of each target that goes to all classes alike.
            peers: the processes that share a step; None: this one is alone.

        Raises:
            UserError: the smoothing is no share.
        """
        if not 0.0 <= smoothing < 1.0:
            raise UserError(f"label_smoothing must lie in [0, 1), got {smoothing}")
        self.mixing, self.spec, self.smoothing, self.peers = mixing, spec, smoothing, peers or one_process()
        self.progress = 0.0
        self.images: int | None = None
        """Of the global batch; None: nobody has said so, and each rank holds as many as this one."""
        self._attached: dict[nn.Module, tuple[Sites, list[Scheduled]]] = {}

    def begin_step(self, step: int, total: int) -> None:
        """Say which step of how many comes next (from 0): mixings and modules that follow a schedule heed it."""
        self.progress = step / total

    def begin_batch(self, images: int) -> None:
        """Say how many images all ranks together hold of the batch that comes next."""
        self.images = images

    def attach(self, model: nn.Module) -> tuple[Sites, list[Scheduled]]:
        """Stand at the mixing's layers in a network, and find the modules that follow a schedule.

        Done once for each network, at the latest when it is first trained: that is before torch.compile has traced it,
        unless someone else has trained it meanwhile.

        Raises:
            UserError: the network has no such layer.
        """
        if model not in self._attached:
            scheduled: list[Scheduled] = [module for module in model.modules() if isinstance(module, Scheduled)]
            self._attached[model] = Sites(model, self.mixing.layers(), self.peers), scheduled
        return self._attached[model]

    def __call__(
        self, model: nn.Module, batch: Sequence[Any], generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean loss of a batch, and numbers worth showing.

        Args:
            model: normalised images [N, 3, S, S] -> logits [N, K].
            batch: a `pretrain.samples.Batch`, or its pixels [N, 3, S, S] and labels [N] alone.
            generator: the mixing's randomness; in the same state on every rank.

        Returns:
            The loss in nats, and "top1": the share of the images whose own label is ranked first.
        """
        pixels, labels, colours = batch if len(batch) == 3 else (*batch, None)
        sites, scheduled = self.attach(model)
        for module in scheduled:
            module.set_progress(self.progress)
        placed = sites.in_order(self.mixing.place(sites.shapes(pixels, self.images), generator, self.progress), pixels)
        mine = [replace(one, draw=one.draw.of_rank(self.peers.rank, self.peers.ranks)) for one in placed]
        images = self._images(pixels, colours, [one for one in mine if one.site == INPUT])
        with sites.due([one for one in mine if one.site != INPUT]):
            logits: Tensor = model(images)
        loss = soft_cross_entropy(logits, mixed_targets(labels, placed, self.peers.pick), self.smoothing)
        return loss, {"top1": (logits.detach().argmax(1) == labels).float().mean()}

    def _images(self, pixels: Tensor, colours: Tensor | None, placed: list[Placed]) -> Tensor:
        """Normalised and mixed images, by the cheapest way that gives the same: bytes moved, or one pass, or after."""
        left = [one for one in placed if not one.draw.changes_nothing]
        blend = left[0].mixing.blend(left[0].draw) if left and self._one_pass(pixels) else None
        if blend is not None:
            left.pop(0)
        fresh = False  # whether the pixels are this step's own
        while left and blend is None and colours is None and left[0].mixing.takes_uint8:
            one = left.pop(0)
            mix = one.mixing.mix_ if fresh else one.mixing.mix
            pixels, fresh = mix(pixels, one.draw, self.peers.pick), True
        images = normalize(pixels, self.spec.mean, self.spec.std, colours, blend)
        for one in left:
            images = one.mixing.mix_(images, one.draw, self.peers.pick)
        return images

    def _one_pass(self, pixels: Tensor) -> bool:
        """Whether normalising can mix on the way: all images are here, and it runs on the CPU."""
        return self.peers.ranks == 1 and pixels.device.type == "cpu" and pixels.dtype == torch.uint8
