"""JPEGs for tests, and boxes to cut out of them."""

import io
import random
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from core.jpeg.crop import decode, decode_crop
from core.jpeg.header import parse


def photograph(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Smooth colours with noise: uint8 [height, width, 3]."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width][..., None] / 9.0
    waves = 127 + 80 * np.sin(rows * [1.0, 0.7, 0.4] + columns * [0.3, 0.9, 1.3])
    noisy: NDArray[np.float64] = waves + generator.normal(0, 12, waves.shape)
    return noisy.clip(0, 255).astype(np.uint8)


def encoded(pixels: NDArray[np.uint8], subsampling: str, quality: int = 90) -> bytes:
    if subsampling == "Gray":
        grey = np.ascontiguousarray(pixels[..., :1])
        return bytes(simplejpeg.encode_jpeg(grey, quality, colorspace="GRAY", colorsubsampling="Gray"))
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, colorsubsampling=subsampling))


def saved(pixels: NDArray[np.uint8], mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def boxes(height: int, width: int, count: int, seed: int = 0) -> list[tuple[int, int, int, int]]:
    """The whole, the four borders' lines, the corners' pixels, and random boxes: top, left, height, width."""
    last = height - 1, width - 1
    fixed = [(0, 0, height, width), (0, 0, 1, width), (last[0], 0, 1, width), (0, 0, height, 1)]
    fixed += [(0, last[1], height, 1), (0, 0, 1, 1), (*last, 1, 1)]
    draw = random.Random(seed)
    for _ in range(count):
        top, left = draw.randrange(height), draw.randrange(width)
        fixed.append((top, left, draw.randint(1, height - top), draw.randint(1, width - left)))
    return fixed


def assert_crops_equal(data: bytes, count: int = 40) -> None:
    header = parse(data)
    assert header is not None
    whole = decode(data)
    assert whole.shape == (header.height, header.width, 3)
    for top, left, height, width in boxes(header.height, header.width, count):
        crop = decode_crop(data, header, top, left, height, width)
        assert np.array_equal(crop, whole[top : top + height, left : left + width]), (top, left, height, width)
