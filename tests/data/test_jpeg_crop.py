"""A box of a JPEG equals that part of the whole decode, bit for bit; what cannot be cut is said to be so."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from core.jpeg.crop import decode, decode_crop
from core.jpeg.header import parse
from tests.data.jpegs import assert_crops_equal, encoded, photograph, saved

_SUBSAMPLINGS = ("444", "422", "420", "440")
_SIZES = ((1, 1), (7, 9), (16, 16), (17, 33), (64, 48), (101, 75))


@pytest.mark.parametrize("subsampling", [*_SUBSAMPLINGS, "Gray"])
@pytest.mark.parametrize("size", _SIZES)
def test_crops_equal_the_whole_decode(subsampling: str, size: tuple[int, int]) -> None:
    assert_crops_equal(encoded(photograph(*size), subsampling))


@pytest.mark.parametrize(
    "options",
    [{"subsampling": 2, "quality": 30}, {"subsampling": 1, "optimize": True}, {"restart_marker_blocks": 2},
     {"restart_marker_rows": 1, "subsampling": 2}, {"quality": 100, "subsampling": 0}, {"keep_rgb": True}],
)  # fmt: skip
def test_crops_of_pillows_files_equal(options: dict[str, Any]) -> None:
    assert_crops_equal(saved(photograph(75, 101), **options))


def test_the_decode_stops_at_the_box(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(photograph(160, 64), "420")
    header = parse(data)
    assert header is not None
    seen: list[tuple[int, ...]] = []

    def watched(part: bytes) -> Any:
        seen.append(decode(part).shape)
        return decode(part)

    monkeypatch.setattr("core.jpeg.crop.decode", watched)
    decode_crop(data, header, 3, 5, 20, 30)
    decode_crop(data, header, 3, 5, 29, 30)  # its last row takes part of its colour from the next MCU row
    assert seen == [(32, 64, 3), (48, 64, 3)]


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
