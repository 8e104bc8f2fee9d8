"""Detections from files: COCO's results JSON, or Pascal VOC's text files."""

import codecs
import json
import warnings
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np

from eval.detection.detections import ONE_BASED, Detections, labels_of, listed
from eval.errors import EvalError


class _Entry(msgspec.Struct, gc=False):
    """One detection of a JSON file, its types checked while it is parsed."""

    image_id: str | int
    category_id: int
    bbox: tuple[float, float, float, float]
    score: float


class _DataSet(msgspec.Struct, gc=False):
    """Some programs write the detections as a data set's annotations."""

    annotations: list[_Entry]


def read_detections(path: Path, classes: Sequence[str], categories: Mapping[int, int] | None = None) -> Detections:
    """Detections from a COCO results file, or a folder of VOC results files (or one of them).

    A class that a folder has no file for has no detections, with a warning.

    Args:
        path: a JSON file: a list of {"image_id", "category_id", "bbox": [x, y, width, height], "score"}, or an object
            with such a list as "annotations". Or a folder of text files named `<anything>_<class>.txt`
            (`comp4_det_test_cat.txt`) or `<class>.txt`, one detection a line: image id, score, and VOC's corners
            (1-based, both ends inside).
        classes: their names, in the order of the labels.
        categories: the label of every `category_id` of a JSON file; without it the id is the label, from 0.

    Raises EvalError naming the file, and the entry or line: it is missing, malformed or truncated, or as `Detections`.
    """
    if path.is_dir():
        return _of_texts(sorted(path.glob("*.txt")), path, classes)
    if path.suffix == ".txt":
        return _of_texts([path], path, classes)
    found = _entries(path)
    known = {label: label for label in range(len(classes))} if categories is None else categories
    boxes = np.fromiter(chain.from_iterable([entry.bbox for entry in found]), np.float64, 4 * len(found)).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    try:
        labels = labels_of([entry.category_id for entry in found], known)
        ids = [str(entry.image_id) for entry in found]
        return Detections(ids, np.array(labels, np.int64), np.array([entry.score for entry in found]), boxes)
    except EvalError as error:
        raise type(error)(f"{path}: {error}") from None


def _entries(path: Path) -> list[_Entry]:
    try:
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise EvalError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        if content.lstrip()[:1] == b"{":
            return msgspec.json.decode(content, type=_DataSet).annotations
        return msgspec.json.decode(content, type=list[_Entry])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # "... at `$[3].bbox`": the fourth
        raise EvalError(
            f"{path}: {_not_finite(content) or error}; expected a JSON list of objects with image_id, category_id, "
            "bbox (x, y, width, height) and score"
        ) from None


def _not_finite(content: bytes) -> str:
    """Names the first entry with a NaN or Infinity, which Python writes and JSON does not have; else nothing."""
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    entries = entries.get("annotations") if isinstance(entries, dict) else entries
    for at, entry in enumerate(entries if isinstance(entries, list) else []):
        text = json.dumps(entry)
        if "NaN" in text or "Infinity" in text:
            return f"entry $[{at}] has a number that is not finite: {text[:200]}"
    return ""


def _of_texts(paths: Sequence[Path], where: Path, classes: Sequence[str]) -> Detections:
    files: dict[int, Path] = {}
    for path in paths:
        label = _label(path, classes)
        if label in files:
            raise EvalError(f"{where}: two files for class {classes[label]!r}: {files[label].name} and {path.name}")
        files[label] = path
    if not files:
        raise EvalError(f"{where}: no text files; expected one for each class: <anything>_<class>.txt")
    if missing := [name for label, name in enumerate(classes) if label not in files]:
        warnings.warn(f"{where}: no file for {listed(missing)}: no detections of them", stacklevel=3)
    parts = [_of_text(path, label) for label, path in files.items()]
    labels, scores, boxes = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("labels", "scores", "boxes")
    )
    return Detections([image for part in parts for image in part.image_ids], labels, scores, boxes)


def _of_text(path: Path, label: int) -> Detections:
    """The detections of one class: image id, score and four corners on every line."""
    ids: list[str] = []
    numbers: list[float] = []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EvalError(f"{path}: cannot be read as text: {error}") from None
    for number, line in enumerate(lines, 1):
        columns = line.split()
        try:
            if len(columns) == 6:
                ids.append(columns[0])
                numbers.extend(map(float, columns[1:]))
            elif columns:
                raise ValueError(f"{len(columns)} columns")
        except ValueError as error:
            raise EvalError(
                f"{path}:{number}: expected image id, score and four corners, got {line[:80]!r} ({error})"
            ) from None
    table = np.array(numbers, np.float64).reshape(-1, 5)
    try:
        return Detections(ids, np.full(len(ids), label), table[:, 0], table[:, 1:] - ONE_BASED)
    except EvalError as error:
        raise EvalError(f"{path}: {error}") from None


def _label(path: Path, classes: Sequence[str]) -> int:
    """The class whose name the file's ends in, the longest of several."""
    ends = [label for label, name in enumerate(classes) if path.stem == name or path.stem.endswith(f"_{name}")]
    if not ends:
        raise EvalError(f"{path}: its name ends in no class; expected <anything>_<class>.txt of {listed(classes)}")
    return max(ends, key=lambda label: len(classes[label]))
