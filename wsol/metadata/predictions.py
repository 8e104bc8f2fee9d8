"""Class predictions of any classifier: what top-1 and top-5 Loc need beside maps."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import UserError

_EXPECTED = {".csv": 'lines "id,class[,class...]", best first', ".json": '{"id": [class, ...]}, best first'}


def read_ranked(path: Path) -> dict[str, tuple[int, ...]]:
    """Classes by image id, best first.

    A .csv file has lines "id,class[,class...]", the first of which may be a header that begins with "id"; a .json file
    is {"id": [class, ...]}. Classes count from 0.

    Raises:
        UserError: names the line or id that is malformed: an id twice, a class twice in a line, no class or a negative
            one, another number of classes than the first image has.
    """
    path = Path(path)
    if path.suffix.lower() not in _EXPECTED:
        kinds = "; ".join(f"{suffix}: {what}" for suffix, what in _EXPECTED.items())
        raise UserError(f"{path}: expected class predictions as {kinds}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: class predictions cannot be read ({error})") from error
    ranked: dict[str, tuple[int, ...]] = {}
    count = 0
    for where, id, classes in _csv(path, text) if path.suffix.lower() == ".csv" else _json(path, text):
        if id in ranked:
            raise UserError(f"{where}: {id!r} is there twice")
        if not classes or len(set(classes)) != len(classes) or min(classes) < 0:
            raise UserError(f"{where}: expected different classes from 0, best first, for {id!r}; came {classes}")
        count = count or len(classes)
        if len(classes) != count:
            raise UserError(f"{where}: expected {count} classes, as the first image has, for {id!r}; came {classes}")
        ranked[id] = classes
    if not ranked:
        raise UserError(f"{path}: is empty, expected {_EXPECTED[path.suffix.lower()]}")
    return ranked


def _csv(path: Path, text: str) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    for line, row in enumerate(csv.reader(io.StringIO(text)), start=1):
        if not row or (line == 1 and row[0].strip().lower() in ("id", "image_id")):
            continue
        where = f"{path}:{line}"
        try:
            classes = tuple(int(value) for value in row[1:])
        except ValueError:
            raise UserError(f"{where}: expected <id>,<class>[,<class>...] with whole numbers, came {row}") from None
        yield where, row[0].strip(), classes


def _json(path: Path, text: str) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    def pairs(entries: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        return entries  # a dict would hide an id that is there twice

    try:
        content = json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: malformed JSON ({error})") from error
    # An empty list is no object, but as empty as one.
    if not isinstance(content, list) or not all(isinstance(entry, tuple) for entry in content):
        raise UserError(f"{path}: expected {_EXPECTED['.json']}")
    for id, classes in content:
        if not isinstance(classes, list) or not all(type(value) is int for value in classes):
            raise UserError(f"{path}: expected a list of whole numbers for {id!r}, came {classes!r:.100}")
        yield f"{path}: {id!r}", id, tuple(classes)
