"""What mixing methods are made of: the seam itself (`core/mixing.py`), shared draws, shared checks of their fields.

A new method is one file beside this one: a frozen dataclass below ``Mixing`` whose fields all have defaults.
"""

from collections.abc import Sequence

import numpy as np
import torch

from core.errors import UserError
from core.mixing import Box, Draw, Mixing

__all__ = ["Box", "Draw", "Mixing", "centred_box", "check_alpha", "check_probability", "draw_applies", "draw_beta"]


def draw_beta(alpha: float, generator: torch.Generator) -> float:
    """Draw from Beta(alpha, alpha).

    torch's public Beta takes no generator, so one integer of the torch generator seeds a NumPy one, whose
    sampler is also right where alpha is small (below about .1 a ratio of two gammas turns into 0/0).
    """
    seed = int(torch.randint(2**63 - 1, (1,), generator=generator))
    return float(np.random.default_rng(seed).beta(alpha, alpha))


def draw_applies(probability: float, generator: torch.Generator) -> bool:
    """Draw whether the method is applied to this batch."""
    return float(torch.rand((), generator=generator)) < probability


def centred_box(shape: Sequence[int], height: int, width: int, generator: torch.Generator) -> Box:
    """Draw a centre uniformly among the pixels of ``shape`` [..., H, W]; return the box around it, clipped.

    The box reaches ``height // 2`` and ``width // 2`` pixels to each side, so an odd size loses one pixel, as in
    the published code of both Cutout and CutMix.
    """
    rows, columns = shape[-2], shape[-1]
    y = int(torch.randint(rows, (1,), generator=generator))
    x = int(torch.randint(columns, (1,), generator=generator))
    half_height, half_width = height // 2, width // 2
    return (
        max(y - half_height, 0),
        max(x - half_width, 0),
        min(y + half_height, rows),
        min(x + half_width, columns),
    )


def check_probability(value: float) -> None:
    """Raise UserError unless ``value`` is a probability."""
    if not 0.0 <= value <= 1.0:
        raise UserError(f"mixing.probability must lie in [0, 1], got {value}")


def check_alpha(value: float) -> None:
    """Raise UserError unless ``value`` can be a Beta distribution's parameter."""
    if not (value > 0.0 and np.isfinite(value)):
        raise UserError(f"mixing.alpha must be a positive number, got {value} (for no mixing use NoMixing)")
