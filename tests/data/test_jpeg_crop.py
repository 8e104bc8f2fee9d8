"""A box of a JPEG equals that part of the whole decode, bit for bit; what cannot be cut is said to be so."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from core.jpeg.crop import decode, decode_crop
from core.jpeg.header import parse

_SUBSAMPLINGS = ("444", "422", "420", "440")
_SIZES = ((1, 1), (7, 9), (16, 16), (17, 33), (64, 48), (101, 75))


def photograph(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth colours with noise: uint8 [height, width, 3]."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width][..., None] / 9.0
    waves = 127 + 80 * np.sin(rows * [1.0, 0.7, 0.4] + columns * [0.3, 0.9, 1.3])
    return np.clip(waves + generator.normal(0, 12, waves.shape), 0, 255).astype(np.uint8)


def encoded(pixels: np.ndarray, subsampling: str, quality: int = 90) -> bytes:
    if subsampling == "Gray":
        grey = np.ascontiguousarray(pixels[..., :1])
        return simplejpeg.encode_jpeg(grey, quality, colorspace="GRAY", colorsubsampling="Gray")
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, colorsubsampling=subsampling)


def saved(pixels: np.ndarray, mode: str = "RGB", **options: object) -> bytes:
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


@pytest.mark.parametrize("subsampling", [*_SUBSAMPLINGS, "Gray"])
@pytest.mark.parametrize("size", _SIZES)
def test_crops_equal_the_whole_decode(subsampling: str, size: tuple[int, int]) -> None:
    assert_crops_equal(encoded(photograph(*size), subsampling))


@pytest.mark.parametrize(
    "options",
    [{"subsampling": 2, "quality": 30}, {"subsampling": 1, "optimize": True}, {"restart_marker_blocks": 2},
     {"restart_marker_rows": 1, "subsampling": 2}, {"quality": 100, "subsampling": 0}, {"keep_rgb": True}],
)  # fmt: skip
def test_crops_of_pillows_files_equal(options: dict[str, object]) -> None:
    assert_crops_equal(saved(photograph(75, 101), **options))


def test_the_decode_stops_at_the_box(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(photograph(160, 64), "420")
    header = parse(data)
    assert header is not None
    seen = []
    monkeypatch.setattr("core.jpeg.crop.decode", lambda part: seen.append(part) or decode(part))
    decode_crop(data, header, 3, 5, 20, 30)
    decode_crop(data, header, 3, 5, 29, 30)  # its last row takes part of its colour from the next MCU row
    assert [decode(part).shape for part in seen] == [(32, 64, 3), (48, 64, 3)]


@pytest.mark.parametrize(
    "data",
    [
        saved(photograph(40, 40), progressive=True),
        saved(photograph(40, 40), "CMYK"),
        simplejpeg.encode_jpeg(photograph(40, 40), colorsubsampling="411"),
        encoded(photograph(40, 40), "420")[:-200],
        encoded(photograph(40, 40), "420")[:100],
        b"",
        b"\x89PNG\r\n\x1a\n" + bytes(40),
    ],
    ids=["progressive", "cmyk", "4:1:1", "cut in the scan", "cut in the header", "empty", "png"],
)
def test_what_cannot_be_cut_is_left_to_the_general_reader(data: bytes) -> None:
    assert parse(data) is None


def test_a_header_of_odd_factors_is_refused() -> None:
    data = bytearray(encoded(photograph(40, 40), "420"))
    header = parse(bytes(data))
    assert header is not None
    assert data[header.size_at + 9] == 0x11
    data[header.size_at + 9] = 0x12  # Cb with two rows for each of Cr
    assert parse(bytes(data)) is None


def test_all_real_files_decode_as_with_pillow(real_data: Path) -> None:
    """Every tenth file of each set; all 1769 were equal when this was written."""
    files = sorted(path for path in real_data.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[::10]
    assert len(files) > 100
    for path in files:
        data = path.read_bytes()
        with Image.open(path) as image:
            assert np.array_equal(decode(data), np.asarray(image.convert("RGB"))), path
        if path.parent.name in ("val2017", "JPEGImages"):
            assert_crops_equal(data, 1)
