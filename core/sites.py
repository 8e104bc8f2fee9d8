"""Places in a network where a batch can be mixed: its input, and the outputs of named modules.

A forward hook is installed once on each named module. It does nothing but look whether a draw is due there, and a draw
is due only inside `Sites.due`: a network that is tested, saved or copied is not changed by it. Under torch.compile the
graph breaks at these modules, and only there.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.mixing import INPUT, Placed, Shapes
from core.peers import Peers

_WRAPPERS = {"module", "_forward_module", "_original_module", "_orig_mod"}  # of DataParallel, Fabric, torch.compile
_NAMED = 12  # modules that an error lists


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside what Fabric, data-parallel and torch.compile put around it."""
    for name in ("_orig_mod", "_forward_module", "module"):
        inner = model._modules.get(name)
        if isinstance(inner, nn.Module) and len(set(model._modules) - _WRAPPERS) == 0:
            return unwrapped(inner)
    return model


class _Hook:
    """What stands at one module: applies what is due, or notes the output's shape."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.placed: list[Placed] = []
        self.notes: dict[str, tuple[int, ...]] | None = None
        self.peers = Peers()

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # torch's own
    def __call__(self, module: nn.Module, given: Any, output: Any) -> Any:
        if self.notes is not None:
            if not isinstance(output, Tensor) or output.ndim != 4:
                what = f"{tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
                raise UserError(f"site {self.site}: expected a module whose output is [N, C, H, W], got {what}")
            self.notes[self.site] = tuple(output.shape)
        for one in self.placed:
            output = one.mixing.apply(output, one.draw, self.peers.pick)
        return output


class Sites:
    """The sites of one network. Installs its hooks when it is made."""

    def __init__(self, model: nn.Module, names: Sequence[str], peers: Peers | None = None) -> None:
        """Find the modules.

        Args:
            model: the network, wrapped or not.
            names: dotted names of its modules.
            peers: the processes that share a step; None: this one is alone.

        Raises:
            UserError: no such module; some of those that there are, are named.
        """
        self.network = unwrapped(model)
        self.peers = peers or Peers()
        modules = dict(self.network.named_modules())
        if missing := [name for name in names if name not in modules or name == ""]:
            there = [name for name in modules if name and name.count(".") == 0][:_NAMED]
            raise UserError(
                f"site {', '.join(missing)}: the network ({type(self.network).__name__}) has no module of that name; "
                f"there are {INPUT} and {', '.join(there)}, and what is inside these (such as layer1.0)"
            )
        self.hooks = {name: _Hook(name) for name in names}
        for name, hook in self.hooks.items():
            hook.peers = self.peers
            modules[name].register_forward_hook(hook)
        self._probed: dict[tuple[int, ...], dict[str, tuple[int, ...]]] = {}

    def shapes(self, images: Tensor, total: int | None = None) -> Shapes:
        """How large the global batch is at each site, for this rank's `images` [n, C, H, W]; of any type.

        `total`: images of the global batch; None: each rank holds as many as this one.
        """
        total = len(images) * self.peers.ranks if total is None else total
        assert self.peers.share(total) == len(images), f"{len(images)} of {total} images on rank {self.peers.rank}"

        def shape(site: str) -> Sequence[int]:
            if site == INPUT:
                return (total, *images.shape[1:])
            return (total, *self._layers(images)[site][1:])

        return shape

    def in_order(self, placed: Sequence[Placed], images: Tensor) -> list[Placed]:
        """What was placed, in the order in which the network meets it; at one site as it came."""
        if all(one.site == INPUT for one in placed):
            return list(placed)
        order = {site: i for i, site in enumerate((INPUT, *self._layers(images)))}
        return sorted(placed, key=lambda one: order[one.site])

    @contextmanager
    def due(self, placed: Sequence[Placed]) -> Iterator[None]:
        """Inside, the network's forward passes apply what is placed at its layers (this rank's part of each draw)."""
        for one in placed:
            self.hooks[one.site].placed.append(one)
        try:
            yield
        finally:
            for hook in self.hooks.values():
                hook.placed = []

    def _layers(self, images: Tensor) -> dict[str, tuple[int, ...]]:
        """Shapes of one image's outputs, in the order in which the modules ran: one pass for each size of input."""
        size = tuple(images.shape[1:])
        if size not in self._probed:
            self._probed[size] = self._probe(size, images.device)
        return self._probed[size]

    @torch.no_grad()
    def _probe(self, size: tuple[int, ...], device: torch.device) -> dict[str, tuple[int, ...]]:
        ran: dict[str, tuple[int, ...]] = {}  # filled by the hooks as they run
        modes = {module: module.training for module in self.network.modules()}
        dtype = next((p.dtype for p in self.network.parameters() if p.is_floating_point()), torch.float32)
        self.network.eval()  # so that no batch statistic learns of it
        for hook in self.hooks.values():
            hook.notes = ran
        try:
            self.network(torch.zeros((1, *size), device=device, dtype=dtype))
        finally:
            for module, mode in modes.items():
                module.training = mode
            for hook in self.hooks.values():
                hook.notes = None
        if unused := set(self.hooks) - set(ran):
            raise UserError(f"site {', '.join(sorted(unused))}: the network's forward pass does not run this module")
        return ran
