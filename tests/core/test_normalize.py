"""Normalising against its formula: by bytes and by floats, with colours, with a blend, in every memory format."""

import numpy as np
import pytest
import torch
from torch import Tensor

from core.mixing import Blend, Box
from core.normalize import normalize

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _images(images: int = 5, height: int = 9, width: int = 14) -> Tensor:
    generator = torch.Generator().manual_seed(height)
    return torch.randint(0, 256, (images, height, width, 3), dtype=torch.uint8, generator=generator).permute(0, 3, 1, 2)


def _colours(images: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    change = torch.eye(3, 4).repeat(images, 1, 1) + 0.2 * torch.randn(images, 3, 4, generator=generator)
    change[:, :, 3] *= 100
    return change


def _plain(images: Tensor, colours: Tensor | None = None, blend: Blend | None = None) -> np.ndarray:
    """The formula, one pixel after another, in float64."""
    x = images.numpy().astype(np.float64)  # [N, 3, H, W]
    if colours is not None:
        a = colours.numpy().astype(np.float64)
        x = np.einsum("nck,nkhw->nchw", a[:, :, :3], x) + a[:, :, 3][:, :, None, None]
    x = (x / 255 - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    if blend is not None:
        mask = np.zeros(x.shape[-2:])
        y0, x0, y1, x1 = blend.box or (0, 0, *x.shape[-2:])
        mask[y0:y1, x0:x1] = 1 - blend.lam  # the partner's weight
        x = (1 - mask) * x + mask * x[blend.partner.numpy()]
    return np.asarray(x)


BOXES: list[Box | None] = [None, (0, 0, 9, 14), (2, 3, 7, 11), (0, 0, 1, 1), (8, 13, 9, 14), (4, 4, 4, 9), (1, 5, 6, 5)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("coloured", [False, True])
@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_equals_the_formula(lam: float, box: Box | None, coloured: bool, threads: int) -> None:
    images, colours = _images(), _colours() if coloured else None
    blend = Blend(torch.tensor([3, 1, 4, 0, 2]), lam, box)
    before, count = images.clone(), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        result = normalize(images, MEAN, STD, colours, blend)
    finally:
        torch.set_num_threads(count)
    np.testing.assert_allclose(result.numpy(), _plain(images, colours, blend), rtol=1e-5, atol=3e-6)
    assert torch.equal(images, before), "the input was written to"
    floats = normalize(images.float(), MEAN, STD, colours, blend)  # torch's way, as on a GPU
    torch.testing.assert_close(result, floats, rtol=1e-5, atol=5e-6)
    assert result.dtype == floats.dtype == torch.float32
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert floats.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("images", "height", "width"), [(1, 1, 1), (1, 17, 5), (3, 2, 33), (64, 4, 4)])
def test_any_size_and_any_memory_format(images: int, height: int, width: int) -> None:
    last = _images(images, height, width)
    result = normalize(last, MEAN, STD)
    np.testing.assert_allclose(result.numpy(), _plain(last), rtol=1e-5, atol=3e-6)
    assert torch.equal(result, normalize(last.contiguous(), MEAN, STD))
    wide = torch.cat((last, last), dim=3)  # a view of a larger batch
    assert torch.equal(result, normalize(wide[..., :width], MEAN, STD))


def test_one_image_is_taken_too() -> None:
    image = _images()[0]
    torch.testing.assert_close(normalize(image, MEAN, STD), normalize(image[None], MEAN, STD)[0])


def test_an_image_does_not_depend_on_its_batch() -> None:
    images = _images(7, 16, 16)
    whole = normalize(images, MEAN, STD)
    assert all(torch.equal(normalize(images[i : i + 1], MEAN, STD)[0], whole[i]) for i in range(7))
