"""What is kept of a caption's characters, and the errors of a file that is not what it should be."""

import json
from pathlib import Path

import msgspec
import pytest

from core.data.captions import check_once, decode, one_line
from core.data.coco import read_captions
from core.data.records import DataError


class Row(msgspec.Struct):
    id: int
    text: str


class Table(msgspec.Struct):
    rows: list[Row]


@pytest.mark.parametrize(
    ("caption", "line"),
    [
        ("A dog.", "A dog."),
        ("  A\tdog\r\nand\n\na cat. \n", "A dog and a cat."),
        ("a\x00dog\x0band\x81a\u2028cat\u2029 \x1b[1m\x7f", "a dog and a cat [1m"),
        ("\x91Don\x92t\x85\x94 he\x97a man\x96said", "‘Don’t…” he—a man–said"),
        ("a\ud83d dog\udc15", "a dog"),
        ("a\u00a0caf\u00e9 \U0001f415\u200d\U0001f9ba", "a caf\u00e9 \U0001f415\u200d\U0001f9ba"),
        (" \x00\u2028\ud83d\t", ""),
        ("", ""),
    ],
)
def test_a_caption_is_one_line_of_text(caption: str, line: str) -> None:
    assert one_line(caption) == line
    assert one_line(line) == line
    assert len(line.splitlines()) <= 1
    line.encode()


def test_no_character_leaves_a_second_line_or_text_that_is_no_utf8() -> None:
    """Every character there is, between two words: kept, or a blank. The eight that are something else are those which
    CoreNLP 3.4.1 does not take for a blank, of all control characters (run on "a?dog ran")."""
    windows = {0x80: "€", 0x85: "…", 0x91: "‘", 0x92: "’", 0x93: "“", 0x94: "”", 0x96: "–", 0x97: "—"}
    for code in range(0x110000):
        line = one_line(f"a{chr(code)}b")
        assert line in ((f"a{windows[code]}b",) if code in windows else ("a b", f"a{chr(code)}b"))
    everything = one_line("".join(map(chr, range(0x110000))))
    assert len(everything.splitlines()) == 1
    assert everything.encode().decode() == everything


def test_control_characters_in_a_file_move_no_caption(tmp_path: Path) -> None:
    """Escaped in JSON, as every writer does; a lone surrogate, too, which a strict reader would refuse."""
    captions = ["a\x00dog", "a\rcat", "a\u2028cow", "a\x0bhen", "a\x81pig", "a\ud83dbee"]
    images = [{"id": i, "file_name": "x"} for i in range(len(captions))]
    annotations = [{"id": i, "image_id": i, "caption": caption} for i, caption in enumerate(captions)]
    path = tmp_path / "captions.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    words = ("dog", "cat", "cow", "hen", "pig", "bee")
    assert read_captions(path) == {i: (f"a {word}",) for i, word in enumerate(words)}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"rows": [{"id": 1, "text": "a"}, {"id": "7", "text": "b"}]}, "rows[1] is {'id': '7', 'text': 'b'}"),
        ({"rows": [{"id": True, "text": "a"}]}, "Expected `int`, got `bool` - at `$.rows[0].id`; rows[0] is {'id': Tr"),
        ({"rows": [{"id": 1}]}, "missing required field `text` - at `$.rows[0]`; rows[0] is {'id': 1}"),
        ({"row": [], "more": 1}, "missing required field `rows`; keys there are: row, more"),
        ({"rows": {}}, "Expected `array`, got `object` - at `$.rows`; keys there are: rows"),
        ({str(i): "A dog." for i in range(99)}, "; keys there are: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, .... Expected a"),
        ([], "Expected `object`, got `array`"),
    ],
)
def test_the_entry_that_is_wrong_is_shown(tmp_path: Path, content: object, reason: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError) as caught:
        decode(path, Table, "a table of rows")
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert reason in message
    assert message.endswith(". Expected a table of rows")


def test_text_that_is_no_utf8_is_refused_and_a_byte_order_mark_is_not(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(b'{"rows": [{"id": 1, "text": "caf\xe9"}]}')
    with pytest.raises(DataError, match=r"file\.json: malformed JSON \(.*utf-8.* can't decode byte 0xe9"):
        decode(path, Table, "a table")
    path.write_text('\ufeff{"rows": [{"id": 1, "text": "café"}]}', encoding="utf-8")
    assert decode(path, Table, "a table").rows[0].text == "café"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"captions\.json: cannot be read \(No such file or directory\)"):
        read_captions(tmp_path / "captions.json")
    with pytest.raises(DataError, match=r": cannot be read \(Is a directory\)"):
        decode(tmp_path, Table, "a table")


def test_an_id_that_is_there_twice(tmp_path: Path) -> None:
    check_once("image", [3, 1, 2], tmp_path)
    with pytest.raises(DataError, match="image 1 is there twice"):
        check_once("image", [3, 1, 2, 1], tmp_path)
