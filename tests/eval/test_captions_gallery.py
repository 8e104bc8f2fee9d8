"""The page of best, median and worst captions: what is in it, and that nothing in it is anyone else's."""

import base64
import io
import re
import struct
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from eval.captions.corpus import Corpus
from eval.captions.evaluation import Scored
from eval.captions.gallery import SIDE, Gallery, gained, ranked, thumbnail
from eval.captions.scores import CaptionScores
from eval.errors import EvalError


def scores_of(values: list[float]) -> CaptionScores:
    """Of images 0, 1, ..., with these numbers as CIDEr and nothing but them."""
    images = tuple(range(len(values)))
    corpus = Corpus(images, ("a dog",) * len(images), (("a cat",),) * len(images))
    return CaptionScores(images, {"cider": float(np.mean(values))}, {"cider": np.array(values)}, 0, 0, corpus, ())


def gallery(values: list[float], name: str = "r.json", texts: dict[int, str] | None = None, **given: Any) -> Gallery:
    captions = {image: f"caption {image}" for image in range(len(values))} if texts is None else texts
    references = {image: (f"reference {image}", "another") for image in range(len(values))}
    return Gallery(Scored(name, captions, scores_of(values)), **({"references": references} | given))


class Reader(HTMLParser):
    """Headings with the captions below them, and every tag with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.shown: dict[str, list[str]] = {}
        self._texts: list[tuple[str, str]] = []
        self.feed(page)
        heading = ""
        for tag, text in self._texts:
            if tag == "h2":
                heading = text
                self.shown[heading] = []
            elif tag == "bdi" and text.startswith("caption"):
                self.shown[heading].append(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and data.strip():
            self._texts.append((self.tags[-1][0], data))


def test_ranked_by_hand() -> None:
    """Order 8 7 6 5 4 3 2 1: two of the eight are at its middle."""
    best, median, worst = ranked(np.array([1.0, 8, 2, 7, 3, 6, 4, 5]), 2)
    assert (best.tolist(), median.tolist(), worst.tolist()) == ([1, 3], [7, 6], [0, 2])


@pytest.mark.parametrize("images", range(1, 30))
def test_none_is_there_twice(images: int) -> None:
    values = np.random.default_rng(images).integers(0, 4, images).astype(float)  # many equal ones
    best, median, worst = ranked(values, 5)
    shown = [*best, *median, *worst]
    assert len(set(shown)) == len(shown) == (images if images < 3 else 3 * min(5, images // 3))
    assert min(values[best]) >= max([*values[median], 0])
    assert max([*values[worst], 0]) <= min([*values[median], 4])
    assert list(values[best]) == sorted(values[best], reverse=True)
    assert list(values[worst]) == sorted(values[worst])
    if images % 2 and images >= 3 and ((images // 3 < 5 and images // 3 % 2) or images >= 15):
        assert np.median(values) in values[median]


def test_what_is_shown() -> None:
    found = Reader(gallery([0.1 * image for image in range(9)], count=2).page())
    assert found.shown == {
        "Best by CIDEr": ["caption 8", "caption 7"],
        "Median by CIDEr": ["caption 5", "caption 4"],
        "Worst by CIDEr": ["caption 0", "caption 1"],
    }
    page = gallery([0.123, 1.5, 0.7]).page()
    assert "reference 1</bdi></li><li><bdi>another" in page
    assert "CIDEr 150.0" in page
    assert "3 images. CIDEr 77.43" in page


def test_two_images_are_all_best() -> None:
    assert Reader(gallery([0.1, 0.2]).page()).shown == {"Best by CIDEr": ["caption 1", "caption 0"]}


def test_nothing_is_anyone_elses() -> None:
    """Text with markup, control characters and half characters: no tag, no attribute, no address comes of it."""
    evil = "</p><script>alert(1)</script><img src=http://x/ onerror='alert(1)'> & \" ' \x00\r\n\u2028\ud83d\u202e"
    values = [0.1, 0.2, 0.3]
    texts = dict.fromkeys(range(3), evil)
    other = Scored(evil, texts, scores_of([0.0, 0.0, 0.5]))
    page = gallery(values, evil, texts, references=dict.fromkeys(range(3), (evil,)), other=other).page()
    one = Scored("other", dict.fromkeys(range(3), "a dog"), scores_of([0.0, 0.0, 0.5]))
    plain = gallery(values, references=dict.fromkeys(range(3), ("a cat",)), other=one).page()
    assert Reader(page).tags == Reader(plain).tags
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 2 + 2 * 3 * 4
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028]", page)
    assert "default-src 'none'" in page
    page.encode()


def test_a_caption_without_words_is_said_to_be_one() -> None:
    assert "<bdi><i>no words</i></bdi>" in gallery([0.0], texts={0: "  "}).page()


def test_another_models_captions_stand_beside() -> None:
    other = Scored("baseline.json", {0: "caption of another"}, scores_of([0.25]))
    page = gallery([0.5], other=other).page()
    places = [
        page.index(text) for text in (">caption 0", "CIDEr 50.0<", "baseline.json:", ">caption of", "CIDEr 25.0<")
    ]
    assert places == sorted(places)


def test_gains_and_losses_by_hand() -> None:
    gains, losses = gained(np.array([0.5, -0.25, 0, 0.75, -0.5, 0.5]), 2)
    assert (gains.tolist(), losses.tolist()) == ([3, 0], [4, 1])
    gains, losses = gained(np.array([0.5, 0, 0.75]), 3)
    assert (gains.tolist(), losses.tolist()) == ([2, 0], [])


def test_gains_and_losses_stand_below(recwarn: pytest.WarningsRecorder) -> None:
    other = Scored("baseline.json", dict.fromkeys(range(4), "a dog"), scores_of([0.1, 0.5, 0.0, 0.6]))
    page = gallery([0.1, 0.2, 0.3, 0.4], other=other, count=2, pictures={}).page()
    found = Reader(page).shown
    assert list(found)[3:] == ["Largest gains in CIDEr", "Largest losses in CIDEr"]
    assert found["Largest gains in CIDEr"] == ["caption 2"]
    assert found["Largest losses in CIDEr"] == ["caption 1", "caption 3"]
    assert [str(one.message) for one in recwarn] == ["4 images cannot be shown, such as image 3"]
    same = gallery([0.1, 0.2, 0.3], other=Scored("b", dict.fromkeys(range(3), "a dog"), scores_of([0.1, 0.2, 0.3])))
    assert "Largest" not in same.page()


def test_images_are_small_jpegs_in_the_page(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    for name, size, mode in (("0.jpg", (640, 480), "RGB"), ("1.png", (160, 640), "RGBA"), ("2.jpg", (30, 20), "L")):
        Image.new(mode, size, "red" if mode != "L" else 77).save(tmp_path / name)
    pictures = {0: tmp_path / "0.jpg", 1: tmp_path / "1.png", 2: tmp_path / "2.jpg"}
    found = Reader(gallery([0.1, 0.2, 0.3], pictures=pictures).page())
    sources = [attributes["src"] for tag, attributes in found.tags if tag == "img"]
    sizes = []
    for source in sources:
        assert source is not None
        start, _, data = source.partition(",")
        assert start == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            sizes.append(image.size)
    assert sizes == [(30, 20), (80, SIDE), (SIDE, 240)], "best first"
    assert not recwarn.list


def test_images_that_cannot_be_shown_are_a_warning(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(b"\xff\xd8 no image")
    Image.new("RGB", (64, 64)).save(tmp_path / "1.jpg")
    (tmp_path / "1.jpg").write_bytes((tmp_path / "1.jpg").read_bytes()[:300])
    pictures = {0: tmp_path / "0.jpg", 1: tmp_path / "1.jpg"}
    with pytest.warns(UserWarning, match=r"3 images cannot be shown, such as image 2"):
        page = gallery([0.1, 0.2, 0.3], pictures=pictures).page()
    assert page.count("no image") == 3
    assert "<img" not in page


def test_a_picture_lies_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (60, 40)).save(tmp_path / "turned.jpg", exif=exif)
    data = thumbnail(tmp_path / "turned.jpg")
    assert data is not None
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (40, 60)


def test_a_broken_picture_is_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's errors of damaged files; the last comes where it writes the EXIF of a turned picture."""
    path = tmp_path / "0.png"
    Image.new("RGB", (60, 40)).save(path)
    for error in (OSError, SyntaxError, ValueError, struct.error):
        monkeypatch.setattr("PIL.ImageOps.exif_transpose", Mock(side_effect=error))
        assert thumbnail(path) is None
    monkeypatch.undo()
    assert thumbnail(path) is not None


def test_ranked_by_what_is_not_there() -> None:
    with pytest.raises(EvalError, match="ranked by meteor: expected one of cider"):
        gallery([0.1], by="meteor")
