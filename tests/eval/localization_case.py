"""The reference case of shared data: score maps and what wsolevaluation says of them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.localization.truth import Truth


@dataclass(frozen=True, eq=False)
class Case:
    maps: np.ndarray
    truths: list[Truth]
    expected: dict[str, Any]
    folder: Path


def reference_case(real_data: Path) -> Case:
    folder = real_data / "metrics" / "wsol"
    with np.load(folder / "scoremaps.npz") as archive:
        maps, ids = archive["maps"], [str(name) for name in archive["ids"]]
    lines = {name: (folder / f"{name}.txt").read_text().split() for name in ("image_sizes", "localization")}
    sizes = {line.split(",")[0]: tuple(map(int, line.split(",")[1:])) for line in lines["image_sizes"]}
    boxes: dict[str, list[list[int]]] = {}
    for line in lines["localization"]:
        name, *corners = line.split(",")
        boxes.setdefault(name, []).append([int(corner) for corner in corners])
    truths = [Truth(i, (sizes[i][0], sizes[i][1]), np.array(boxes[i]) + np.array([0.0, 0, 1, 1])) for i in ids]
    return Case(maps, truths, json.loads((folder / "expected.json").read_text()), folder)
