"""Some hits and some misses: the map over its image, the predicted box, the annotated boxes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eval.localization.truth import ScoreMap, Truth

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS, _INCHES = 6, 2.2
_PREDICTED, _KNOWN = "#e34a33", "#31a354"
_SUFFIXES = ("", ".jpg", ".JPEG", ".jpeg", ".png")


@dataclass(frozen=True)
class Entry:
    """One image of the gallery."""

    score_map: ScoreMap
    truth: Truth
    box: Sequence[float]
    """x0, y0, x1, y1 in pixels of the image, half-open."""
    iou: float


def choose(found: Iterable[tuple[str, bool]], each: int = 12) -> tuple[list[str], list[str]]:
    """Ids of hits and of misses, spread evenly over the images: neither the best nor the worst.

    Args:
        found: (id, hit) of every image, in order. each: how many of either at most.
    """
    sorted_out: tuple[list[str], list[str]] = ([], [])
    for name, hit in found:
        sorted_out[0 if hit else 1].append(name)
    hits, misses = ([names[i * len(names) // each] for i in range(each)] if len(names) > each else names
                    for names in sorted_out)  # fmt: skip
    return hits, misses


def draw(path: Path, title: str, entries: Sequence[Entry], images: Path | None) -> None:
    """Write a PNG of all entries; one whose image is not below `images` shows the map alone, and says so."""
    from matplotlib.figure import Figure

    rows = -(-len(entries) // _COLUMNS)
    figure = Figure(figsize=(_COLUMNS * _INCHES, rows * (_INCHES + 0.3) + 0.5), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, _COLUMNS)).ravel()
    for place in axes:
        place.set_axis_off()
    for place, entry in zip(axes, entries, strict=False):
        _draw(place, entry, images)
    figure.suptitle(f"{title} (predicted box red, annotated green)")
    figure.savefig(path, format="png", dpi=80)


def _draw(axes: "Axes", entry: Entry, images: Path | None) -> None:
    width, height = entry.truth.size
    x0, y0, x1, y1 = entry.score_map.window or (0, 0, width, height)
    image = _image(images, entry.truth.id) if images is not None else None
    if image is not None:
        axes.imshow(image, extent=(0, width, height, 0))
    values = np.asarray(entry.score_map.values, dtype=np.float32)
    axes.imshow(values, extent=(x0, x1, y1, y0), cmap="viridis", alpha=0.5 if image is not None else 1.0)
    for known in entry.truth.boxes:
        _outline(axes, known, _KNOWN)
    _outline(axes, entry.box, _PREDICTED)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    lacking = " (no image)" if images is not None and image is None else ""
    axes.set_title(f"{Path(entry.truth.id).stem[-30:]}\nIoU {entry.iou:.2f}{lacking}", fontsize=7)


def _outline(axes: "Axes", box: Sequence[float] | np.ndarray, colour: str) -> None:
    from matplotlib.patches import Rectangle

    x0, y0, x1, y1 = (float(value) for value in box)
    axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=1.5))


def file_of(folder: Path, name: str) -> Path | None:
    """The file of an image, its id a path below the folder, with or without its ending; None: there is none."""
    return next((folder / f"{name}{suffix}" for suffix in _SUFFIXES if (folder / f"{name}{suffix}").is_file()), None)


def _image(folder: Path, name: str) -> np.ndarray | None:
    """The pixels of an image, small enough for a gallery; None where there is none that can be read."""
    from PIL import Image

    path = file_of(folder, name)
    if path is None:
        return None
    try:
        with Image.open(path) as image:
            image.draft("RGB", (400, 400))
            return np.asarray(image.convert("RGB"))
    except OSError:
        return None
