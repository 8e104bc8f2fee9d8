"""Read annotation files strictly: every error names the file, the line or object, what was expected and what came."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from core.data.records import Box, DataError


def read_text(path: Path) -> str:
    """The whole file, UTF-8 with or without a byte order mark. DataError: absent, unreadable, not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected UTF-8 text, came {error}") from error


def rows(path: Path, expected: str, separator: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """("path:line", fields) of every line that is not blank.

    `expected` names the fields ("<image id> <class id>"): their number is checked, and it is shown in the error.
    The separator None is any white space.
    """
    count = expected.count("<")
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        values = [value.strip() for value in line.split(separator)]
        where = f"{path}:{number}"
        if len(values) != count:
            raise DataError(f"{where}: expected {count} fields, {expected}; came {line!r}")
        yield where, values


def integer(text: str, where: str, name: str) -> int:
    """A whole number in decimal digits."""
    try:
        return int(text)
    except ValueError:
        raise DataError(f"{where}: {name} must be a whole number, came {text!r}") from None


def number(text: str, where: str, name: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: {name} must be a number, came {text!r}")
    return value


@dataclass(frozen=True, slots=True)
class XmlObject:
    """One `<object>`: corners (xmin, ymin, xmax, ymax) as written; the data set knows what they mean."""

    where: str
    name: str
    corners: Box
    difficult: bool


@dataclass(frozen=True, slots=True)
class XmlAnnotation:
    """A Pascal-style annotation file, as VOC and ILSVRC have them. size: (width, height) in pixels."""

    size: tuple[int, int]
    objects: tuple[XmlObject, ...]


def read_annotation(path: str | PathLike[str]) -> XmlAnnotation:
    """Parse a Pascal-style XML file. A document type (so every entity bomb) is refused; `<part>`s are left out."""
    path = Path(path)
    try:
        root: Element = defusedxml.ElementTree.fromstring(path.read_bytes(), forbid_dtd=True)
    except OSError as error:
        raise DataError(f"{path}: annotation file cannot be read ({error.strerror})") from error
    except DefusedXmlException as error:
        kind = type(error).__name__
        raise DataError(f"{path}: refused, an annotation needs no document type and no entities ({kind})") from error
    except (ParseError, LookupError, ValueError) as error:  # LookupError, ValueError: an encoding nobody knows
        raise DataError(f"{path}: malformed XML ({error})") from error
    if root.tag != "annotation":
        raise DataError(f"{path}: expected <annotation> at the top, came <{root.tag}>")
    width, height = (_positive(root, f"size/{name}", str(path)) for name in ("width", "height"))
    objects = tuple(
        _object(element, f"{path}: object {i}") for i, element in enumerate(root.findall("object"), start=1)
    )
    return XmlAnnotation((width, height), objects)


def _object(element: Element, where: str) -> XmlObject:
    name = _text(element, "name", where)
    where = f"{where} ({name})"
    difficult = (element.findtext("difficult") or "0").strip()
    if difficult not in ("0", "1"):
        raise DataError(f"{where}: <difficult> must be 0 or 1, came {difficult!r}")
    corners = [number(_text(element, f"bndbox/{key}", where), where, key) for key in ("xmin", "ymin", "xmax", "ymax")]
    return XmlObject(where, name, (corners[0], corners[1], corners[2], corners[3]), difficult == "1")


def _text(element: Element, path: str, where: str) -> str:
    # `find` looks at direct children, so a <bndbox> or <name> inside a <part> is never taken for the object's.
    text = (element.findtext(path) or "").strip()
    if not text:
        raise DataError(f"{where}: <{path}> is missing or empty")
    return text


def _positive(element: Element, path: str, where: str) -> int:
    value = integer(_text(element, path, where), where, path)
    if value <= 0:
        raise DataError(f"{where}: <{path}> must be positive, came {value}")
    return value
