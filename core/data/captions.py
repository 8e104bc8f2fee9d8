"""What files of captions have in common: strict decoding of big JSON files, and captions as single lines.

A caption is kept as it is written but for white space and characters that are no text: `one_line`.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from core.data.records import DataError

T = TypeVar("T")

REMEDY: Final = "leave it out of the file"
"""What to do about an entry that nothing can be learned from."""

_WINDOWS: Final = str.maketrans("\x80\x85\x91\x92\x93\x94\x96\x97", "€…‘’“”–—")
"""Control characters that are Windows-1252 read as Latin-1, and that Stanford's tokenizer takes for what they mean."""
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters (Unicode's class Cc) and halves of surrogate pairs. Line separators are white space anyway."""


def one_line(caption: str) -> str:
    """A caption without line breaks, control characters and lone surrogates; "" where nothing else is in it.

    Each of them counts as a blank, runs of white space become one blank, and none is left at the ends. The words stay
    what they are for the metric's tokenizer, to which all of these part words, but for eight that it reads as Windows's
    quotes, dashes, ellipsis and euro sign ("don\\x92t"): they become those. And one caption is one line for every tool
    that reads lines, and can be written as UTF-8.
    """
    if not caption.isprintable():
        caption = _NO_TEXT.sub(" ", caption.translate(_WINDOWS))
    return " ".join(caption.split())


def decode(path: Path, kind: type[T], expected: str) -> T:
    """A JSON file as msgspec structs, checked whole.

    Args:
        path: the file; UTF-8, with or without a byte order mark.
        kind: the type to decode to.
        expected: what the file must hold, in words: shown where it does not.

    Raises:
        DataError: the file cannot be read, is no JSON (it may be cut off), or holds something else. The message shows
            the entry that is wrong.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return msgspec.json.decode(data, type=kind)
    except (ValueError, RecursionError):  # ValueError: msgspec's errors and UnicodeDecodeError
        return _decode_slowly(path, data, kind, expected)


def _decode_slowly(path: Path, data: bytes, kind: type[T], expected: str) -> T:
    """Once more by the standard library: it says where a file is malformed, and takes lone surrogates and a
    byte order mark."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: malformed JSON ({error}; the file has {len(data):,} bytes: is it whole?). Expected {expected}"
        ) from None
    try:
        return msgspec.convert(content, kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # the latter: a lone surrogate where it shows one
        raise DataError(f"{path}: {error}{_entry(content, str(error))}. Expected {expected}") from None


def check_once(what: str, ids: Sequence[int], path: Path) -> None:
    """Every id is there once. DataError: one is there twice; `what` says what it is the id of ("image")."""
    if len(set(ids)) < len(ids):
        twice = next(one for one, count in Counter(ids).items() if count > 1)
        raise DataError(f"{path}: {what} {twice} is there twice")


def _entry(content: Any, message: str) -> str:
    """What stands at the place that msgspec names ("... - at `$.images[3].id`"): the innermost entry of a list.

    At the top, the keys that there are, ten of them at most: some files have one for each image.
    """
    shown = ""
    if isinstance(content, dict):
        shown = f"; keys there are: {', '.join([*content][:10])}{', ...' if len(content) > 10 else ''}"
    _, _, where = message.partition("`$")
    place = ""
    for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", where.rstrip("`")):
        if index:
            content, place = content[int(index)], f"{place}[{index}]"
            shown = f"; {place} is {content!r:.160}"
        elif isinstance(content, dict) and key in content:
            content, place = content[key], f"{place}.{key}".lstrip(".")
    return shown
