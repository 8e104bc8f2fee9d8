"""ImageNet's boxes, from wsolevaluation's metadata or ILSVRC XML. `core.data.imagenet` says what the corners mean."""

from pathlib import Path

from core.data.folders import stem_of
from core.data.parsing import integer, number, read_annotation, rows
from core.data.records import Box, DataError

METADATA = ("localization", "image_sizes", "class_labels")
"""wsolevaluation's files, without ".txt"; the last one may be absent."""
Boxes = dict[str, tuple[tuple[Box, ...], tuple[int, int]]]
"""File name without suffix -> (boxes, (width, height) in whose pixels they are given)."""


def metadata_boxes(folder: Path, classes: dict[str, str]) -> Boxes:
    """Read localization.txt and image_sizes.txt for the images of `classes` (file stem -> class folder).

    Lines of other images are skipped, so that the published files serve a subset. DataError: a line is malformed, a
    box is outside of its image, an image has no box or size, or class_labels.txt groups the images otherwise.
    """
    _check_labels(folder / "class_labels.txt", classes)
    sizes: dict[str, tuple[int, int]] = {}
    for where, (image, *values) in rows(folder / "image_sizes.txt", "<image id>,<width>,<height>", ","):
        width, height = (integer(value, where, name) for value, name in zip(values, ("width", "height"), strict=True))
        if width <= 0 or height <= 0:
            raise DataError(f"{where}: width and height must be positive, came {width} x {height}")
        sizes[stem_of(image)] = (width, height)
    boxes: dict[str, list[Box]] = {stem: [] for stem in classes}
    localization = folder / "localization.txt"
    for where, (image, *values) in rows(localization, "<image id>,<x0>,<y0>,<x1>,<y1>", ","):
        stem = stem_of(image)
        if stem not in boxes:
            continue
        if stem not in sizes:
            raise DataError(f"{folder / 'image_sizes.txt'}: has no line for image {image}, which {where} has a box for")
        x0, y0, x1, y1 = (number(v, where, n) for v, n in zip(values, ("x0", "y0", "x1", "y1"), strict=True))
        boxes[stem].append(_half_open((x0, y0, x1, y1), sizes[stem], where))
    if without := [stem for stem in classes if not boxes[stem]]:
        raise DataError(f"{localization}: has no box for {len(without)} of {len(classes)} images: {without[0]}, ...")
    return {stem: (tuple(sorted(found)), sizes[stem]) for stem, found in boxes.items()}


def xml_boxes(folder: Path, classes: dict[str, str]) -> Boxes:
    """Read <stem>.xml for the images of `classes` (file stem -> class folder), those objects that are of the class.

    DataError: there is no such file, it is malformed, or no object in it is of the image's class.
    """
    boxes: Boxes = {}
    for stem, name in classes.items():
        path = folder / f"{stem}.xml"
        if not path.is_file():
            raise DataError(
                f"{path} does not exist: expected in {folder} either localization.txt and image_sizes.txt "
                f"(wsolevaluation's metadata) or one XML file per val image (ILSVRC)"
            )
        annotation = read_annotation(path)
        found = [
            _half_open(_clip(one.corners, annotation.size), annotation.size, one.where)
            for one in annotation.objects
            if one.name == name
        ]
        if not found:
            there = ", ".join(sorted({one.name for one in annotation.objects})) or "none"
            raise DataError(
                f"{path}: expected an object of the image's class folder {name}; objects there are: {there}"
            )
        boxes[stem] = (tuple(sorted(found)), annotation.size)
    return boxes


def _check_labels(path: Path, classes: dict[str, str]) -> None:
    """A label is one class folder and a class folder one label, whatever the labels' numbers are."""
    if not path.is_file():
        return
    folders: dict[str, str] = {}
    labels: dict[str, str] = {}
    for where, (image, label) in rows(path, "<image id>,<label>", ","):
        folder = classes.get(stem_of(image))
        if folder is None:
            continue
        if folders.setdefault(label, folder) != folder or labels.setdefault(folder, label) != label:
            raise DataError(
                f"{where}: image {image} has label {label}, but its class folder {folder} has label "
                f"{labels.get(folder, 'none')} and label {label} is {folders[label]} in the lines above"
            )


def _clip(corners: Box, size: tuple[int, int]) -> Box:
    """ILSVRC XML has corners a few pixels outside of the image; the published metadata holds them clipped."""
    width, height = size
    x0, y0, x1, y1 = corners
    return max(x0, 0.0), max(y0, 0.0), min(x1, width - 1.0), min(y1, height - 1.0)


def _half_open(corners: Box, size: tuple[int, int], where: str) -> Box:
    x0, y0, x1, y1 = corners
    width, height = size
    if x0 < 0 or y0 < 0 or x1 > width or y1 > height or x0 > x1 or y0 > y1:
        raise DataError(
            f"{where}: expected 0 <= x0 <= x1 <= {width} and 0 <= y0 <= y1 <= {height} (pixels), "
            f"came x0 {x0:g}, y0 {y0:g}, x1 {x1:g}, y1 {y1:g}"
        )
    return x0, y0, min(x1 + 1.0, float(width)), min(y1 + 1.0, float(height))
