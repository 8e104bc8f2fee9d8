"""Restart markers written without loss, and boxes cut out by them: the pixels of the whole decode, bit for bit."""

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.data.images import Jpeg, picture
from core.data.prepare.encoding import keep
from core.data.shard import starts
from core.jpeg import segments
from core.jpeg.crop import decode, decode_crop
from core.jpeg.header import parse
from core.jpeg.resegment import interval_of, resegment
from tests.data.jpegs import assert_crops_equal, boxes, encoded, photograph, saved


def resegmented(data: bytes, widest: int = 32) -> bytes:
    header = parse(data)
    assert header is not None
    result = resegment(data, header, widest)
    assert result is not None
    return result


@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "Gray"])
@pytest.mark.parametrize("size", [(1, 1), (17, 33), (64, 48), (33, 66), (40, 67), (101, 130)])
def test_segments_keep_the_pixels(subsampling: str, size: tuple[int, int]) -> None:
    data = encoded(photograph(*size), subsampling)
    for widest in (8, 32, 500):
        result = resegmented(data, widest)
        header = parse(result)
        assert header is not None
        assert segments.per_row(header) > 0
        assert np.array_equal(decode(result), decode(data))
        assert_crops_equal(result, 20)


@pytest.mark.parametrize(
    "options",
    [
        {"subsampling": 2, "quality": 30, "optimize": True},
        {"subsampling": 0, "optimize": True, "quality": 100},
        {"restart_marker_blocks": 3},
        {"restart_marker_rows": 1, "subsampling": 2},
        {"keep_rgb": True},
        {"comment": b"\xff\xd0 marker-like", "exif": b"Exif\x00\x00" + bytes(40)},
    ],
)
def test_segments_of_pillows_files(options: dict[str, Any]) -> None:
    """Tables of the image's own, which lack codes that a segment's first DC value needs; other markers; other data."""
    data = saved(photograph(75, 101), **options)
    result = resegmented(data)
    assert np.array_equal(decode(result), decode(data))
    assert_crops_equal(result, 20)


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2, "big") + content


def _without_jfif(data: bytes) -> bytes:
    return data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]


_PLAIN = saved(photograph(75, 101), subsampling=2)
_MARKED = saved(photograph(75, 101), restart_marker_blocks=3)
_ODD = {
    "Adobe, RGB": _PLAIN[:2] + _segment(0xEE, b"Adobe\0\x64\0\0\0\0\0") + _PLAIN[2:],
    "Adobe, YCbCr": _PLAIN[:2] + _segment(0xEE, b"Adobe\0\x64\0\0\0\0\1") + _PLAIN[2:],
    "neither JFIF nor Adobe": _without_jfif(_PLAIN),
    "a thumbnail": _PLAIN[:2] + _segment(0xE1, b"Exif\0\0" + _MARKED) + _PLAIN[2:],
    "fill bytes before a marker": _PLAIN[:2] + b"\xff\xff\xff" + _PLAIN[2:],
    "fill bytes before a restart": _MARKED.replace(b"\xff\xd1", b"\xff\xff\xd1", 1),
    "fill bytes before the end": _PLAIN[:-2] + b"\xff\xff\xff\xd9",
    "zeros before the end": _PLAIN[:-2] + bytes(3) + b"\xff\xd9",
    "the number of lines after the scan": _PLAIN[:-2] + _segment(0xDC, b"\0\x4b") + b"\xff\xd9",
    "something after the end": _PLAIN + b"\xff\xd0 and more \xff\xd9",
    "two images in a file": _PLAIN + _MARKED,
    "extended sequential": _PLAIN.replace(b"\xff\xc0", b"\xff\xc1", 1),
    "4:1:1": encoded(photograph(75, 101), "411"),
    "progressive": saved(photograph(75, 101), progressive=True),
    "a restart that is missing": _MARKED.replace(b"\xff\xd1", b"", 1),
}


@pytest.mark.parametrize("data", _ODD.values(), ids=_ODD)
def test_odd_files_keep_pillows_pixels_plain_and_packed(data: bytes) -> None:
    """Marked, or kept as they are: whatever was done, a box's pixels are those of Pillow's decode of the file."""
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    kept = keep(data, "x", None)
    lengths = np.frombuffer(kept.lengths, "<u2")
    header = parse(kept.image)
    stored = Jpeg(kept.image, "x", header, starts(lengths)) if header and len(lengths) else picture(kept.image, "x")
    for top, left, height, width in boxes(75, 101, 15):
        wanted = expected[top : top + height, left : left + width]
        assert np.array_equal(picture(data, "x").crop(top, left, height, width), wanted)
        assert np.array_equal(stored.crop(top, left, height, width), wanted)


def test_a_flat_image_needs_codes_that_its_own_tables_lack() -> None:
    data = saved(np.full((64, 64, 3), (250, 20, 20), np.uint8), optimize=True)
    result = resegmented(data, 16)
    assert np.array_equal(decode(result), decode(data))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(result))), decode(data))
    assert_crops_equal(result, 10)


def test_only_the_touched_segments_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = resegmented(encoded(photograph(160, 320), "420"))
    header = parse(data)
    assert header is not None
    assert header.restart_interval == 2
    seen: list[tuple[int, ...]] = []

    def watched(part: bytes) -> Any:
        seen.append(decode(part).shape)
        return decode(part)

    monkeypatch.setattr("core.jpeg.crop.decode", watched)
    decode_crop(data, header, 33, 70, 10, 20)  # inside one row of MCUs, and segments 2 (64 to 96)
    decode_crop(data, header, 32, 64, 16, 32)  # the same MCUs, with all four neighbours
    assert seen == [(16, 32, 3), (48, 96, 3)]


def test_known_starts_equal_those_found() -> None:
    data = resegmented(encoded(photograph(75, 130), "420"))
    header = parse(data)
    assert header is not None
    starts = segments.find(data, header)
    assert starts is not None
    assert len(starts) == segments.per_row(header) * 5 + 1
    for box in boxes(75, 130, 5):
        assert np.array_equal(decode_crop(data, header, *box, starts), decode_crop(data, header, *box))


def test_the_interval_divides_the_row() -> None:
    for width, expected in ((500, 2), (375, 2), (333, 1), (512, 2)):  # 32, 24, 21 and 32 MCUs
        header = parse(encoded(photograph(16, width), "420"))
        assert header is not None
        assert interval_of(header) == expected
    header = parse(encoded(photograph(8, 500), "444"))
    assert header is not None
    assert interval_of(header) == 3  # of 63


@pytest.mark.parametrize("damage", ["cut", "zeros", "noise"])
def test_a_broken_scan_is_not_resegmented(damage: str) -> None:
    data = bytearray(encoded(photograph(96, 96), "420"))
    header = parse(bytes(data))
    assert header is not None
    middle = (header.scan_at + len(data)) // 2
    if damage == "cut":
        data = data[:middle] + b"\xff\xd9"
    elif damage == "zeros":
        data[middle:-2] = bytes(len(data) - 2 - middle)
    else:
        noise = np.random.default_rng(0).integers(0, 255, len(data) - 2 - middle, dtype=np.uint8)
        data[middle:-2] = noise.tobytes()
    assert resegment(bytes(data), header) is None


@pytest.mark.parametrize("subsampling", ["420", "444", "Gray"])
def test_noise_anywhere_is_survived(subsampling: str) -> None:
    """A flipped byte, of header or scan, ends in a file that decodes as before, in none, or in a ValueError."""
    draw = random.Random(0)
    whole = resegmented(encoded(photograph(40, 70), subsampling))
    outcomes = set()
    for data in (whole, encoded(photograph(40, 70), subsampling)):
        for _ in range(150):
            noisy = bytearray(data)
            for _ in range(draw.randint(1, 3)):
                noisy[draw.randrange(len(noisy) if draw.random() < 0.5 else 700)] = draw.randrange(256)
            header = parse(bytes(noisy))
            if header is None or header.height * header.width > 10_000:
                outcomes.add("none")
                continue
            try:
                before = decode(bytes(noisy))
                box = 0, 0, header.height, header.width
                assert decode_crop(bytes(noisy), header, *box).shape == before.shape
                marked = resegment(bytes(noisy), header)
                outcomes.add("broken" if marked is None else "kept")
            except ValueError:
                outcomes.add("refused")
    assert outcomes == {"none", "broken", "kept", "refused"}


def test_a_missing_marker_is_no_crop_of_segments() -> None:
    data = bytearray(resegmented(encoded(photograph(64, 64), "420")))
    header = parse(bytes(data))
    assert header is not None
    starts = segments.find(bytes(data), header)
    assert starts is not None
    data[header.scan_at + int(starts[3]) - 1] ^= 1  # another number
    assert segments.find(bytes(data), header) is None


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_the_scan_is_that_of_libjpegs_own_encoder(subsampling: str) -> None:
    """The same pixels encoded with restart markers from the start: the same bytes."""
    picture = Image.fromarray(photograph(101, 130))
    plain, marked = io.BytesIO(), io.BytesIO()
    picture.save(plain, "JPEG", quality=90, subsampling=subsampling)
    header = parse(plain.getvalue())
    assert header is not None
    interval = interval_of(header)
    picture.save(marked, "JPEG", quality=90, subsampling=subsampling, restart_marker_blocks=interval)
    ours, there = resegmented(plain.getvalue()), parse(marked.getvalue())
    here = parse(ours)
    assert there is not None
    assert here is not None
    assert here.restart_interval == there.restart_interval == interval
    assert ours[here.scan_at :] == marked.getvalue()[there.scan_at :]


def test_real_files_keep_their_pixels(real_data: Path) -> None:
    files = sorted(path for path in real_data.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[::40]
    assert len(files) > 30
    for path in files:
        data = path.read_bytes()
        result = resegmented(data)
        assert np.array_equal(decode(result), decode(data)), path
        assert_crops_equal(result, 2)
