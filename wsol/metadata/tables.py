"""Read wsolevaluation's four text files, and hold each line against the others: what is wrong is listed, not raised.

Letters: B lines with a box.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

IDS, LABELS, SIZES, LOCALIZATION = "image_ids.txt", "class_labels.txt", "image_sizes.txt", "localization.txt"
_FEW = 20
"""Fewer boxes than these say nothing about what their numbers mean."""
T = TypeVar("T")


class Problem(NamedTuple):
    """A line that is wrong, or odd."""

    file: Path
    line: int
    """Counted from 1; 0: the file as a whole."""
    what: str
    id: str = ""
    """The image that it is about; "": none."""
    notice: bool = False
    """Odd, but can be evaluated."""

    def __str__(self) -> str:
        return f"{self.file}{f':{self.line}' if self.line else ''}: {'note: ' if self.notice else ''}{self.what}"


class Line(NamedTuple):
    """A line about an image."""

    line: int
    id: str


@dataclass
class Tables:
    """The four files' contents, without the lines that are wrong."""

    folder: Path
    ids: dict[str, int] = field(default_factory=dict)
    """Image id -> line."""
    labels: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Width, height."""
    boxes: dict[str, list[tuple[float, ...]]] = field(default_factory=dict)
    """x0, y0, x1, y1 as written: x1 and y1 are inside the box."""
    masks: dict[str, list[tuple[str, str, int]]] = field(default_factory=dict)
    """Mask path, path of the ignore mask or "", line."""
    lines: dict[tuple[str, str], int] = field(default_factory=dict)
    """(file, image id) -> its first line there."""
    problems: list[Problem] = field(default_factory=list)

    def bad(self, file: str, line: int, what: str, id: str = "", *, notice: bool = False) -> None:
        """Note a problem."""
        self.problems.append(Problem(self.folder / file, line, what, id, notice))


def scan(folder: Path) -> Tables:
    """Read the folder's files and check all that can be checked without images and masks."""
    tables = Tables(folder)
    for where, text in _lines(tables, IDS):
        if text in tables.ids:
            tables.bad(IDS, where, f"{text!r} is there twice, first in line {tables.ids[text]}", text)
        else:
            tables.ids[text] = where
    if (folder / LABELS).is_file():
        tables.labels = _table(tables, LABELS, 1, _label)
        _check_labels(tables)
    localization = list(_lines(tables, LOCALIZATION))
    boxes = next((not _is_mask(text) for _, text in localization), True)
    if boxes or (folder / SIZES).is_file():
        tables.sizes = _table(tables, SIZES, 2, _size, may_be_empty=not boxes)
    if boxes:
        read_boxes(tables, LOCALIZATION, localization)
    else:
        _read_masks(tables, localization)
    _compare(tables)
    return tables


def scan_boxes(path: Path) -> Tables:
    """One file of boxes alone: lines "id,x0,y0,x1,y1", no sizes known."""
    tables = Tables(path.parent)
    read_boxes(tables, path.name, list(_lines(tables, path.name)))
    return tables


def _lines(tables: Tables, file: str) -> Iterator[tuple[int, str]]:
    """(line number, text) of each line that is not blank."""
    path = tables.folder / file
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        tables.bad(file, 0, f"cannot be read ({error.strerror})")
        return
    except UnicodeDecodeError as error:
        tables.bad(file, 0, f"expected UTF-8 text ({error})")
        return
    yield from ((number, text) for number, text in enumerate(map(str.strip, lines), start=1) if text)


def _table(
    tables: Tables, file: str, count: int, parse: Callable[[list[str]], T | str], *, may_be_empty: bool = False
) -> dict[str, T]:
    """Image id -> value of lines "id,<count fields>". `parse` gives the value, or what is wrong with the fields."""
    found: dict[str, T] = {}
    lines = list(_lines(tables, file))
    if not lines and not may_be_empty and not any(problem.file.name == file for problem in tables.problems):
        tables.bad(file, 0, "is empty")
    for where, text in lines:
        id, *fields = text.rsplit(",", count)
        value = parse(fields) if len(fields) == count else f"expected an id and {count} fields, came {text!r:.100}"
        if isinstance(value, str):
            tables.bad(file, where, value, id)
        elif id in found:
            tables.bad(file, where, f"{id!r} is there twice", id)
        else:
            found[id] = value
            tables.lines[file, id] = where
    return found


def _label(fields: list[str]) -> int | str:
    label = fields[0].strip()
    return int(label) if label.isdecimal() else f"expected a class as a whole number from 0, came {label!r}"


def _size(fields: list[str]) -> tuple[int, int] | str:
    width, height = (text.strip() for text in fields)
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        return f"expected width and height as whole numbers above 0, came {width!r}, {height!r}"
    return int(width), int(height)


def _check_labels(tables: Tables) -> None:
    present = set(tables.labels.values())
    missing = [label for label in range(max(present, default=-1)) if label not in present]
    if missing:
        shown = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
        what = f"classes 0 to {max(present)} have gaps: no image is of {len(missing)} of them ({shown})"
        tables.bad(LABELS, 0, what, notice=True)


def read_boxes(tables: Tables, file: str, lines: list[tuple[int, str]]) -> None:
    """Read lines "id,x0,y0,x1,y1" into `tables.boxes`, without those that are wrong."""
    if not lines and not any(problem.file.name == file for problem in tables.problems):
        tables.bad(file, 0, "is empty: there is nothing to compare maps with")
    read: list[Line] = []
    corners: list[list[float]] = []
    for where, text in lines:
        id, *fields = text.rsplit(",", 4)
        try:
            numbers = list(map(float, fields))
        except ValueError:
            numbers = []
        if len(numbers) != 4 or not all(map(math.isfinite, numbers)):
            tables.bad(file, where, f"expected <id>,<x0>,<y0>,<x1>,<y1> in pixels, came {text!r:.100}", id)
        else:
            read.append(Line(where, id))
            corners.append(numbers)
    array = np.array(corners, np.float64).reshape(-1, 4)  # [B, 4]
    wrong = _wrong_boxes(tables, file, read, array)
    for line, numbers in zip(read, corners, strict=True):
        if line.line not in wrong:
            tables.boxes.setdefault(line.id, []).append(tuple(numbers))
            tables.lines.setdefault((file, line.id), line.line)


def _wrong_boxes(tables: Tables, file: str, lines: list[Line], boxes: np.ndarray) -> set[int]:
    """Note the boxes [B, 4] that run backwards or leave their image; the lines of those that cannot be used."""
    nowhere = (math.nan, math.nan)
    sizes = np.array([tables.sizes.get(line.id, nowhere) for line in lines], np.float64).reshape(-1, 2)  # [B, 2]
    backwards: np.ndarray = np.any(boxes[:, 2:] < boxes[:, :2], axis=1)
    outside: np.ndarray = np.any(boxes[:, :2] < 0, axis=1) | np.any(boxes[:, 2:] > sizes, axis=1)
    edge: np.ndarray = np.any(boxes[:, 2:] > sizes - 1, axis=1)
    _check_meaning(tables, file, boxes, sizes, backwards)
    for i in np.flatnonzero(backwards | outside | edge):
        line, id = lines[i]
        x0, y0, x1, y1 = boxes[i]
        box = f"box x0 {x0:g}, y0 {y0:g}, x1 {x1:g}, y1 {y1:g} of {id!r}"
        width, height = sizes[i]
        if backwards[i]:
            tables.bad(file, line, f"{box}: expected x0 <= x1 and y0 <= y1", id)
        elif math.isnan(width):
            tables.bad(file, line, f"{box}: expected 0 or more", id)
        else:
            last = f"{width:g} x {height:g}, whose last pixel is {width - 1:g}, {height - 1:g}"
            # x1 = width is frequent, written by whoever counts x1 as the first pixel outside of the box.
            tables.bad(file, line, f"{box} leaves the image of {last}", id, notice=not outside[i])
    return {lines[i].line for i in np.flatnonzero(backwards | outside)}


def _check_meaning(tables: Tables, file: str, boxes: np.ndarray, sizes: np.ndarray, backwards: np.ndarray) -> None:
    """Notice a file whose boxes [B, 4] are x, y, width, height.

    Then many run backwards (a third of wsolevaluation's release/CUBV2_boxes.txt, where corners were meant), and x +
    width stays inside the image for all of them: true of a quarter at most of published corners (CUB, ILSVRC).
    """
    if len(boxes) < _FEW:
        return
    known = ~np.isnan(sizes[:, 0])
    fits = ((boxes[:, :2] + boxes[:, 2:] <= sizes + 1).all(axis=1))[known].mean() if known.any() else None
    share = backwards.mean()
    plausible = (boxes[:, 2:] > 0).all() and (fits is None or fits > 0.99)
    if plausible and share > 0.01:
        what = (
            f"seems to hold x, y, width, height: {share:.0%} of {len(boxes)} boxes have x1 < x0 or y1 < y0 as corners"
        )
        tables.bad(file, 0, f"{what}; expected x0, y0, x1, y1, which is x, y, x + width - 1, y + height - 1")
    elif plausible and fits is not None:
        what = "may hold x, y, width, height: x0 + x1 and y0 + y1 are within the image for nearly every box"
        tables.bad(file, 0, what, notice=True)


def _is_mask(text: str) -> bool:
    """Whether a line is "id,mask,ignore"."""
    return text.count(",") == 2


def _read_masks(tables: Tables, lines: list[tuple[int, str]]) -> None:
    for where, text in lines:
        id, *paths = (part.strip() for part in text.split(","))
        if len(paths) != 2 or not paths[0]:
            expected = "expected <id>,<mask file>,<ignore file or nothing>, as in the file's first line"
            tables.bad(LOCALIZATION, where, f"{expected}; came {text!r:.100}", id)
            continue
        others = tables.masks.setdefault(id, [])
        if paths[0] in (mask for mask, _, _ in others):
            tables.bad(LOCALIZATION, where, f"mask {paths[0]!r} of {id!r} is there twice", id)
        if paths[1] and any(ignore not in ("", paths[1]) for _, ignore, _ in others):
            tables.bad(LOCALIZATION, where, f"{id!r} has a second ignore mask {paths[1]!r}: expected one at most", id)
        others.append((paths[0], paths[1], where))
        tables.lines.setdefault((LOCALIZATION, id), where)


def _compare(tables: Tables) -> None:
    """Every id of image_ids.txt has its lines in the other files; lines of others are odd, not wrong."""
    found = {problem.id for problem in tables.problems}
    located = tables.masks or tables.boxes
    others: list[tuple[str, dict[str, object]]] = [(LOCALIZATION, dict(located))]
    others += [(SIZES, dict(tables.sizes))] if tables.sizes else []
    others += [(LABELS, dict(tables.labels))] if tables.labels else []
    if not tables.ids and (tables.folder / IDS).is_file():
        tables.bad(IDS, 0, "is empty")
    for file, table in others:
        # Of an empty file it is said once that it is.
        for id, line in tables.ids.items() if table else ():
            # An image whose line there is wrong was named already.
            if id not in table and id not in found:
                tables.bad(IDS, line, f"{id!r} has no line in {file}", id)
        for id in table:
            if id not in tables.ids:
                line = tables.lines[file, id]
                tables.bad(file, line, f"{id!r} is not in {IDS}: its lines are not used", id, notice=True)
