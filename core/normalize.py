"""Pixels to what a network takes: uint8 to float32, less the mean, over the standard deviation, in one pass.

N images, C = 3 channels (RGB), H rows, W columns. On a CPU a compiled kernel (`core/normalize_cpu.py`) reads each byte
once and writes each number once, with a change of colour or the blend of a mixing worked in on the way; elsewhere plain
torch does, in a few launches.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from core.mixing import Blend


def normalize(
    images: Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    colours: Tensor | None = None,
    blend: Blend | None = None,
) -> Tensor:
    """(x / 255 - mean) / std as float32 of the same shape; batches in channels-last memory.

    Args:
        images: [N, 3, H, W] or [3, H, W] on the scale 0 to 255, uint8 or floating-point, in any memory format.
        mean: of the channels, in 0..1.
        std: of the channels, in 0..1.
        colours: float32 [N, 3, 4], for each image A [3, 3] and b [3] on the scale 0 to 255: its pixels become
            A @ rgb + b first, and are not clipped. None: they stay.
        blend: what is then added up of pairs of images; see `core.mixing.Blend`.
    """
    scale, shift = _scale_and_shift(tuple(mean), tuple(std), images.device)
    if images.ndim == 4 and images.dtype == torch.uint8 and images.device.type == "cpu":
        done: Tensor = _on_cpu(images, scale, shift, colours, blend)
        return done
    if colours is None:
        result = torch.addcmul(shift.view(3, 1, 1), images.float(), scale.view(3, 1, 1))
    else:
        result = _coloured(images.float(), *_folded(colours.to(images.device), scale, shift))
    if images.ndim == 4:
        result = result.contiguous(memory_format=torch.channels_last)
    return result if blend is None else _blended(result, blend)


@lru_cache(maxsize=64)
def _scale_and_shift(mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """What a pixel is multiplied by and what is added, each [3]; kept, since sending them waits for the device."""
    deviation = torch.tensor(std, device=device)
    return deviation.mul(255).reciprocal_(), -torch.tensor(mean, device=device).div(deviation)


def _folded(colours: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Colour change and normalisation as one: matrices [N, 3, 3] and offsets [N, 3]."""
    return colours[:, :, :3] * scale[:, None], colours[:, :, 3] * scale + shift


def _coloured(images: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    """matrix @ rgb + offset; by channels, since a matrix product would be rounded to TF32 where that is allowed."""
    result = offset[:, :, None, None]
    for channel in range(3):
        result = torch.addcmul(result, images[:, channel, None], matrix[:, :, channel, None, None])
    return result


def _blended(images: Tensor, blend: Blend) -> Tensor:
    y0, x0, y1, x1 = blend.box or (0, 0, *images.shape[-2:])
    region = images[:, :, y0:y1, x0:x1]
    partners = region[blend.partner.to(images.device)]
    region.mul_(blend.lam).add_(partners, alpha=1.0 - blend.lam)
    return images


@torch.compiler.disable  # type: ignore[untyped-decorator]  # torch's own
def _on_cpu(images: Tensor, scale: Tensor, shift: Tensor, colours: Tensor | None, blend: Blend | None) -> Tensor:
    from core import normalize_cpu  # numba: loaded where it is used

    bytes_ = images.permute(0, 2, 3, 1).contiguous()  # [N, H, W, 3]; no copy where they are channels-last
    result = torch.empty(bytes_.shape, dtype=torch.float32)
    matrix, offset = (None, None) if colours is None else _folded(colours, scale, shift)
    normalize_cpu.run(
        bytes_.numpy(),
        result.numpy(),
        (scale.numpy(), shift.numpy()),
        None if matrix is None or offset is None else (matrix.numpy(), offset.numpy()),
        None if blend is None else (blend.partner.numpy(), blend.lam, blend.box),
    )
    return result.permute(0, 3, 1, 2)
