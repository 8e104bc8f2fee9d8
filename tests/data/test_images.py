"""read_rgb: whatever the file holds, RGB or an error that names it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.images import image_size, open_picture, read_rgb
from core.data.records import DataError
from tests.data.layouts import image


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *(("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("RGBA", "PNG"), ("LA", "PNG")),
        *(("P", "PNG"), ("L", "PNG"), ("1", "PNG"), ("P", "GIF"), ("RGB", "WEBP"), ("RGB", "BMP")),
    ],
)
def test_every_kind_of_image_becomes_rgb_whatever_its_suffix_says(tmp_path: Path, mode: str, kind: str) -> None:
    path = image(tmp_path / "n01440764_1.JPEG", size=(31, 17), mode=mode, kind=kind)
    read = read_rgb(path)
    assert (read.mode, read.size, image_size(path)) == ("RGB", (31, 17), (31, 17))


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("P", "GIF"), ("LA", "PNG"), ("RGB", "WEBP")],
)
def test_a_picture_and_its_crops_have_the_pixels_that_read_rgb_has(tmp_path: Path, mode: str, kind: str) -> None:
    path = image(tmp_path / "a.JPEG", size=(61, 47), mode=mode, kind=kind)
    whole, picture = np.asarray(read_rgb(path)), open_picture(path)
    assert (picture.height, picture.width) == (47, 61)
    assert np.array_equal(picture.whole(), whole)
    for top, left, height, width in ((0, 0, 1, 1), (13, 5, 20, 30), (46, 60, 1, 1), (15, 16, 17, 40)):
        crop = open_picture(path).crop(top, left, height, width)
        assert np.array_equal(crop, whole[top : top + height, left : left + width])


@pytest.mark.parametrize("content", [None, b"", b"<html>404 Not Found</html>", "cut"])
def test_a_picture_that_cannot_be_read_is_refused_as_read_rgb_refuses_it(tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "a.JPEG"
    if content == "cut":
        image(path, size=(200, 150))
        os.truncate(path, path.stat().st_size - 3)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    messages = []
    for read in (read_rgb, lambda source: open_picture(source).whole()):
        with pytest.raises(DataError) as raised:
            read(path)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


def test_a_jpeg_of_absurd_size_is_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    path = image(tmp_path / "a.JPEG")
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = b"\xff\x00\xff\x00"  # 65280 x 65280 pixels
    path.write_bytes(data)
    with pytest.raises(DataError, match="too many pixels"):
        open_picture(path)


def test_real_jpegs_have_pillows_pixels(real_data: Path) -> None:
    paths = sorted((real_data / "imagenet" / "val").rglob("*.JPEG"))[::25]
    assert paths
    for path in paths:
        assert np.array_equal(open_picture(path).whole(), np.asarray(Image.open(path).convert("RGB")))


def test_lossless_colours_survive(tmp_path: Path) -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], dtype=np.uint8)
    for mode in ("RGB", "RGBA", "P"):
        path = tmp_path / f"{mode}.JPEG"
        Image.fromarray(colours).convert(mode, palette=Image.Palette.ADAPTIVE).save(path, format="PNG")
        assert np.array_equal(np.asarray(read_rgb(path)), colours), mode


def test_cmyk_jpeg_keeps_its_colour(tmp_path: Path) -> None:
    path = tmp_path / "red.JPEG"
    Image.new("RGB", (16, 16), (200, 30, 30)).convert("CMYK").save(path, format="JPEG", quality=95)
    assert np.abs(np.asarray(read_rgb(path)).astype(int) - (200, 30, 30)).max() <= 4


def test_16_bit_grey_keeps_its_upper_8_bits(tmp_path: Path) -> None:
    grey = (np.arange(64 * 64).reshape(64, 64) * 16).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    read = np.asarray(read_rgb(tmp_path / "grey.png"))
    assert np.array_equal(read, np.repeat((grey >> 8)[..., None], 3, axis=2))


def test_exif_orientation_is_ignored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6  # shown turned by 90 degrees
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_rgb(tmp_path / "turned.jpg").size == (40, 20)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_truncated(tmp_path: Path, kind: str, share: float) -> None:
    path = image(tmp_path / "cut.JPEG", size=(200, 150), kind=kind)
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(DataError, match=r"cut\.JPEG: (truncated or broken|cannot be read)"):
        read_rgb(path)


def test_a_jpeg_without_its_last_byte_is_refused(tmp_path: Path) -> None:
    path = image(tmp_path / "cut.jpg", size=(200, 150))
    os.truncate(path, path.stat().st_size - 3)
    with pytest.raises(DataError, match=r"cut\.jpg: truncated or broken JPEG image"):
        read_rgb(path)


def test_not_an_image(tmp_path: Path) -> None:
    path = tmp_path / "page.jpg"
    path.write_bytes(b"<html>404 Not Found</html>")
    for read in (read_rgb, image_size):
        with pytest.raises(DataError, match=r"page\.jpg: not an image.*<html>404 No.*readable are JPEG, PNG"):
            read(path)


def test_empty_file_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(DataError, match=r"empty\.jpg: not an image.*empty \(0 bytes\)"):
        read_rgb(tmp_path / "empty.jpg")
    with pytest.raises(DataError, match=r"gone\.jpg: the image file does not exist"):
        read_rgb(tmp_path / "gone.jpg")


def test_postscript_is_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "script.JPEG"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    with pytest.raises(DataError, match=r"script\.JPEG: not an image"):
        read_rgb(path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # pytest undoes the module's own filter
def test_flipped_bytes_are_decoded_or_refused_and_nothing_else(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    runs = read = refused = 0
    for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP"):
        path = image(tmp_path / f"whole.{kind}", size=(40, 30), kind=kind)
        whole = np.frombuffer(path.read_bytes(), np.uint8)
        for _ in range(100):
            flipped = whole.copy()
            flipped[random.integers(0, min(len(whole), 400), 4)] = random.integers(0, 256, 4)
            (tmp_path / "flipped").write_bytes(flipped.tobytes())
            try:
                decoded = read_rgb(tmp_path / "flipped").mode == "RGB"
            except DataError as error:
                decoded = False
                refused += str(tmp_path / "flipped") in str(error)
            runs += 1
            read += decoded
    assert read + refused == runs
    assert min(read, refused) > 50


def test_large_photographs_make_no_noise_and_absurd_ones_are_refused(tmp_path: Path) -> None:
    Image.new("1", (10_000, 9_500)).save(tmp_path / "large.png")  # 95 megapixels: Pillow would warn
    Image.new("1", (20_000, 9_500)).save(tmp_path / "absurd.png")
    read = f"import core.data.images as i, pathlib; print(i.image_size(pathlib.Path({str(tmp_path / 'large.png')!r})))"
    done = subprocess.run([sys.executable, "-c", read], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("(10000, 9500)\n", "")
    with pytest.raises(DataError, match=r"absurd\.png: refused, too many pixels"):
        image_size(tmp_path / "absurd.png")
