"""A ResNet's tensors under detectron2's names.

| timm, torchvision | detectron2 |
|---|---|
| `conv1`, `bn1` | `stem.conv1`, `stem.conv1.norm` |
| `layerN` | `res(N+1)` |
| `convK`, `bnK` of a block | `convK`, `convK.norm` |
| `downsample.0`, `downsample.1` | `shortcut`, `shortcut.norm` |
| `fc` | left out |

Source: detectron2's `tools/convert-torchvision-to-d2.py`; the same names are in MoCo's conversion. A file that is not
converted loads no tensor there, with warnings alone.
"""

import re
from collections.abc import Mapping
from typing import TypeVar

from core.errors import UserError

T = TypeVar("T")
COUNTER = "num_batches_tracked"  # BatchNorm's number of batches seen, which no result depends on
_BLOCK = re.compile(r"layer(?P<stage>[1-4])\.(?P<block>\d+)\.(?:(?P<kind>conv|bn)(?P<k>[123])|downsample\.(?P<d>[01]))")
_HEAD = "fc."


def detectron2_name(name: str) -> str | None:
    """The name of a tensor in detectron2; None: a classifier's, which a detector has not.

    Raises:
        UserError: no plain ResNet has a tensor of this name.
    """
    module, _, leaf = name.rpartition(".")
    if name.startswith(_HEAD):
        return None
    if module in ("conv1", "bn1"):
        return f"stem.conv1.{'norm.' * (module == 'bn1')}{leaf}"
    if (match := _BLOCK.fullmatch(module)) is None:
        raise UserError(f"{name}: detectron2's ResNet has no such tensor")
    where = f"res{int(match['stage']) + 1}.{match['block']}"
    if match["d"] is not None:
        return f"{where}.shortcut.{'norm.' * (match['d'] == '1')}{leaf}"
    return f"{where}.conv{match['k']}.{'norm.' * (match['kind'] == 'bn')}{leaf}"


def converted(tensors: Mapping[str, T], *, counters: bool) -> dict[str, T]:
    """A ResNet's tensors under detectron2's names, without the classifier's.

    Args:
        tensors: a state dict of timm's or torchvision's names. counters: whether BatchNorm's counters come along;
            detectron2's FrozenBatchNorm2d has none.

    Raises:
        UserError: a name that no plain ResNet has.
    """
    named = ((detectron2_name(name), tensor) for name, tensor in tensors.items())
    return {name: t for name, t in named if name is not None and (counters or not name.endswith(COUNTER))}
