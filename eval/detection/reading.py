"""Detections from files: COCO's results JSON, or Pascal VOC's text files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from eval.detection.detections import ONE_BASED, Detections
from eval.errors import EvalError


def read_detections(path: Path, classes: Sequence[str], categories: Mapping[int, int] | None = None) -> Detections:
    """Detections from a COCO results file, or a folder of VOC results files (or one of them).

    Args:
        path: a JSON file: a list of {"image_id", "category_id", "bbox": [x, y, width, height], "score"}. Or a folder
            of text files named `<anything>_<class>.txt` (`comp4_det_test_cat.txt`) or `<class>.txt`, one detection a
            line: image id, score, and VOC's corners (1-based, both ends inside).
        classes: their names, in the order of the labels.
        categories: the label of every `category_id` of a JSON file; without it the id is the label, from 0.

    Raises EvalError naming the file, and the entry or line.
    """
    if path.is_dir():
        return _of_texts(sorted(path.glob("*.txt")), path, classes)
    if path.suffix == ".txt":
        return _of_texts([path], path, classes)
    return _of_json(path, classes, categories)


def _of_json(path: Path, classes: Sequence[str], categories: Mapping[int, int] | None) -> Detections:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise EvalError(f"{path}: cannot be read as JSON: {error}") from None
    detections = Detections.from_coco(found)
    if categories is None:
        return detections
    labels = np.array([categories[number] for number in detections.labels.tolist()], np.int64)
    return Detections(detections.image_ids, labels, detections.scores, detections.boxes)


def _of_texts(paths: Sequence[Path], where: Path, classes: Sequence[str]) -> Detections:
    ids: list[str] = []
    labels: list[int] = []
    numbers: list[list[float]] = []
    for path in paths:
        label = _label(path, classes)
        for number, line in enumerate(path.read_text().splitlines(), 1):
            image, *rest = line.split()
            if len(rest) != 5:
                raise EvalError(f"{path}:{number}: expected image id, score and four corners, got {line!r}")
            ids.append(image)
            labels.append(label)
            numbers.append([float(value) for value in rest])
    table = np.array(numbers).reshape(-1, 5)
    return Detections(ids, np.array(labels, np.int64), table[:, 0], table[:, 1:] - ONE_BASED)


def _label(path: Path, classes: Sequence[str]) -> int:
    for label, name in enumerate(classes):
        if path.stem == name or path.stem.endswith(f"_{name}"):
            return label
    raise EvalError(f"{path}: its name ends in no class; expected one of {', '.join(classes)}")
