"""Metadata of COCO instances: one class for each image, its boxes or its masks.

Source: cocodataset.org, "Data format": `bbox` is x, y, width, height; `segmentation` is polygons or run lengths. An
image is of one class, as `wsol.metadata.voc` says. Crowds (`iscrowd`) are no objects; with masks, those of the image's
class are its ignore mask. Boxes and masks without an area (the published files hold a few) are left out. Labels are
the places of the category ids when sorted, 0 to 79.
"""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core import atomic
from core.data.parsing import read_text
from core.data.records import Box, DataError
from eval.localization.truth import Truth
from wsol.metadata.records import Object, label_of, of_one_class, whole_pixels


def read(
    root: Path, split: str = "val2017", class_name: str | None = None, masks: Path | None = None
) -> tuple[Truth, ...]:
    """The images of instances_<split>.json that have an object, by their file names, in the order of image ids.

    Args:
        root: the folder that holds annotations/, annotations/ itself, or the file.
        split: val2017, train2014, ...
        class_name: only images with this class.
        masks: a folder to write masks to, PNG files of 0 and 255; the truths then have masks and no boxes.

    Raises:
        DataError: something is missing or malformed, or no image is left.
    """
    path = _file(Path(root), split)
    content = _load(path)
    categories = sorted((_number(one, "id", path), str(one.get("name"))) for one in content["categories"])
    labels = {category: label for label, (category, _) in enumerate(categories)}
    label = label_of(class_name, [name for _, name in categories])
    images = {_number(one, "id", path): one for one in content["images"]}
    annotations: dict[int, list[dict[str, Any]]] = {image: [] for image in images}
    for one in content["annotations"]:
        image = _number(one, "image_id", path)
        if image not in images or one.get("category_id") not in labels:
            raise DataError(f"{path}: annotation {one.get('id')}: no such image or category in this file")
        annotations[image].append(one)
    truths = []
    for image, entry in sorted(images.items()):
        truth = _truth(entry, annotations[image], labels, label, path, masks)
        if truth is not None:
            truths.append(truth)
    if not truths:
        raise DataError(f"{path}: no image has an object{f' {class_name}' if class_name else ''}")
    return tuple(truths)


def _truth(
    image: Mapping[str, Any],
    annotations: list[dict[str, Any]],
    labels: Mapping[int, int],
    label: int | None,
    path: Path,
    masks: Path | None,
) -> Truth | None:
    size = _number(image, "width", path), _number(image, "height", path)
    boxes = [_box(one, path) for one in annotations]
    objects = [
        Object(labels[one["category_id"]], box, place)
        for place, (one, box) in enumerate(zip(annotations, boxes, strict=True))
        if box is not None and not one.get("iscrowd")
    ]
    kept = of_one_class(objects, label)
    if not kept:
        return None
    id, found = str(image["file_name"]), kept[0].label
    if masks is None:
        whole = whole_pixels((one.box for one in kept), size)
        if (whole[:, 2:] <= whole[:, :2]).any():
            raise DataError(f"{path}: a box of {id} lies outside of its {size[0]} x {size[1]} pixels")
        return Truth(id, size, whole, found)
    crowds = [one for one in annotations if one.get("iscrowd") and labels[one["category_id"]] == found]
    shapes = [(annotations[one.place]["id"], _mask(annotations[one.place], size, path)) for one in kept]
    ignored = [_mask(one, size, path) for one in crowds]
    written = tuple(_write(masks, f"{id}_{number}", mask) for number, mask in shapes if mask.any())
    if not written:
        return None
    ignore = _write(masks, f"{id}_ignore", np.any(ignored, axis=0)) if ignored else None
    return Truth(id, size, label=found, masks=written, ignore=ignore)


def _mask(annotation: Mapping[str, Any], size: tuple[int, int], path: Path) -> np.ndarray:
    """[H, W] bool."""
    from pycocotools import mask as coder

    width, height = size
    shape = annotation.get("segmentation")
    try:
        # Polygons, run lengths as numbers, or as COCO's own text.
        packed = isinstance(shape, dict) and isinstance(shape.get("counts"), str)
        encoded = shape if packed else coder.frPyObjects(shape, height, width)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools speaks to numpy 1
            found = coder.decode(coder.merge(encoded) if isinstance(encoded, list) else encoded)
    except Exception as error:
        raise DataError(f"{path}: annotation {annotation.get('id')}: cannot read its segmentation ({error})") from error
    if found.shape != (height, width):
        raise DataError(f"{path}: annotation {annotation.get('id')}: expected a mask of {width} x {height} pixels")
    return np.asarray(found > 0)


def _write(folder: Path, name: str, mask: np.ndarray) -> Path:
    from PIL import Image

    path = folder / f"{name}.png"
    with atomic.replacing(path) as temporary:
        Image.fromarray(mask.astype(np.uint8) * 255).save(temporary, format="PNG")
    return path


def _box(annotation: Mapping[str, Any], path: Path) -> Box | None:
    """Half-open; None: no area."""
    values = annotation.get("bbox")
    if not isinstance(values, list) or len(values) != 4 or not all(isinstance(v, int | float) for v in values):
        where = f"{path}: annotation {annotation.get('id')}"
        raise DataError(f"{where}: expected bbox [x, y, width, height], came {values!r:.80}")
    x, y, width, height = values
    return (x, y, x + width, y + height) if width > 0 and height > 0 else None


def _file(root: Path, split: str) -> Path:
    name = f"instances_{split}.json"
    for path in (root, root / name, root / "annotations" / name):
        if path.is_file():
            return path
    raise DataError(f"{root}: expected {name} in it or in its folder annotations; there is neither")


def _load(path: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        content = json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path}: malformed JSON ({error})") from error
    for key in ("images", "annotations", "categories"):
        entries = content.get(key) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise DataError(f"{path}: expected a list of objects {key!r}, as COCO's instances files have")
    found: dict[str, list[dict[str, Any]]] = content
    return found


def _number(entry: Mapping[str, Any], key: str, path: Path) -> int:
    value = entry.get(key)
    if type(value) is not int or value < 0:
        raise DataError(
            f"{path}: expected a whole number {key!r}, came {value!r:.80} in {dict(list(entry.items())[:3])}"
        )
    return value
