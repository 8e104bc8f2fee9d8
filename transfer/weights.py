"""Whether a task's network stands on the very weights that were loaded.

Published detectors went wrong here without a word: keys that do not match load nothing, an initialisation runs over
loaded layers, a converted copy is another network. So every tensor is compared, by value, once the network is built.
"""

import re
from typing import NamedTuple

import torch
from torch import Tensor, nn

from core.backbone import Backbone
from core.errors import UserError
from core.resnet import Trunk

PARTS = ("stem", "layer1", "layer2", "layer3", "layer4")
"""Of a backbone, in the order in which `freeze_at` counts them."""
_COUNTER = "num_batches_tracked"  # of BatchNorm: no result depends on it


def part(name: str) -> int:
    """The position in `PARTS` of a tensor or module of a backbone's trunk, by its name in the backbone file."""
    match = re.match(r"layer([1-4])\b", name)
    return int(match[1]) if match else 0


class Loaded(NamedTuple):
    """Tensors as they were loaded, and the modules that held them then, by their names in the backbone file."""

    values: dict[str, Tensor]
    homes: dict[str, tuple[nn.Module, str]]


def loaded(backbone: Backbone, body: Trunk, stages: int) -> Loaded:
    """A copy of what a network is to use.

    Args:
        backbone: as loaded, before anything is frozen or moved.
        body: its stages. stages: how many of layer1 to layer4 the network reads.

    Raises:
        UserError: not all tensors of the backbone were loaded, or one is not finite.
    """
    _refuse_half_loaded(backbone)
    used = {m for i, p in enumerate(PARTS) if i <= stages for m in getattr(body, p).modules()}
    homes = {
        f"{name}.{leaf}".lstrip("."): (module, leaf)
        for name, module in backbone.model.named_modules()
        for leaf in module.state_dict(keep_vars=True)
        if "." not in leaf and leaf != _COUNTER
    }
    kept = {name: home for name, home in homes.items() if home[0] in used}
    values = {name: getattr(*home).detach().clone() for name, home in kept.items()}
    for name, value in values.items():
        if not torch.isfinite(value).all():
            raise UserError(f"{backbone.name}: {name}: expected finite numbers, there are others")
    return Loaded(values, kept)


def in_use(network: nn.Module, before: Loaded) -> dict[str, Tensor]:
    """The tensors that a network computes with, by their names in the backbone file.

    A network of another engine tells by a method `trunk_tensors`; else the modules that held them must be its own.
    """
    tell = getattr(network, "trunk_tensors", None)
    if tell is not None:
        found: dict[str, Tensor] = tell()
        return found
    inside = set(network.modules())
    return {name: getattr(*home) for name, home in before.homes.items() if home[0] in inside}


def compare(network: nn.Module, before: Loaded, source: str) -> None:
    """Raise UserError unless a network uses every tensor of `before`, with the values that were loaded."""
    now = in_use(network, before)
    absent = [name for name in before.values if name not in now]
    changed = [name for name, value in before.values.items() if name in now and not _same(value, now[name])]
    if absent or changed:
        first = (absent or changed)[0]
        raise UserError(
            f"{source}: {len(before.values) - len(absent) - len(changed)} of {len(before.values)} tensors are in the "
            f"network as loaded; {len(absent)} are not in it, {len(changed)} have other values (the first: {first})"
        )


def _same(value: Tensor, other: Tensor) -> bool:
    return value.shape == other.shape and torch.equal(value.cpu(), other.detach().cpu())


def _refuse_half_loaded(backbone: Backbone) -> None:
    counts = re.match(r"(\d+) of (\d+) tensors", backbone.report)
    if counts and counts[1] != counts[2]:
        raise UserError(f"{backbone.name}: expected a backbone of which all was loaded; {backbone.report}")
