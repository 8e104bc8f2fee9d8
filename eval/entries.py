"""COCO's results files: a JSON list with an object for every detection or caption."""

import codecs
import json
import re
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from eval.errors import EvalError

T = TypeVar("T")
_HALF = re.compile("[\ud800-\udfff]")


class _DataSet(msgspec.Struct, Generic[T], gc=False):
    """Some programs write the results as a data set's annotations."""

    annotations: list[T]


def read_entries(path: Path, kind: type[T], keys: str) -> list[T]:
    """The entries in the file's order; keys that `kind` does not have are passed over.

    Args:
        path: a list of objects, or an object with such a list as "annotations".
        kind: a `msgspec.Struct`: what an entry must have, its types checked while it is parsed.
        keys: these keys in words.

    Raises EvalError naming the file, and the entry from 0: it is missing, malformed or truncated, or of another type.
    """
    try:
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise EvalError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        if content.lstrip()[:1] == b"{":
            return msgspec.json.decode(content, type=_DataSet[kind]).annotations  # type: ignore[valid-type]
        return msgspec.json.decode(content, type=list[kind])  # type: ignore[valid-type]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # "... at `$[3].bbox`": the fourth
        raise EvalError(
            f"{path}: {_python_only(content) or error}; expected a JSON list of objects with {keys}"
        ) from None


def _python_only(content: bytes) -> str:
    """Names the first entry with what Python's parser takes and JSON does not have; nothing where there is none."""
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    entries = entries.get("annotations") if isinstance(entries, dict) else entries
    for at, entry in enumerate(entries if isinstance(entries, list) else []):
        text = json.dumps(entry, ensure_ascii=False)
        if "NaN" in text or "Infinity" in text:
            return f"entry $[{at}] has a number that is not finite: {text[:200]}"
        if _HALF.search(text):
            return f"entry $[{at}] has half a character (an unpaired surrogate): {json.dumps(entry)[:200]}"
    return ""
