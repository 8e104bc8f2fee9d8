"""Metadata of Pascal VOC: one class for each image, the boxes of that class.

Localization asks where *the* object is, so an image is of one class: the one that is asked for, or the one with the
most objects (`records.of_one_class`). Objects marked as difficult do not count, and images left without any are left
out. Corners with decimals (years after 2010) become larger, whole ones.
"""

from pathlib import Path

from core.data.records import DataError
from core.data.voc import VOC, VOC_CLASSES
from eval.localization.truth import Truth
from wsol.metadata.records import Object, label_of, of_one_class, whole_pixels


def read(root: Path, split: str = "test", class_name: str | None = None) -> tuple[Truth, ...]:
    """The images of an image set, by their file names in JPEGImages.

    Args:
        root: VOCdevkit/VOC2007 or of another year, or VOCdevkit where there is one year in it.
        split: an image set: trainval, test, ...
        class_name: only images with this class, and its boxes.

    Raises:
        DataError: something is missing or malformed, or no image is left.
    """
    base = _year(Path(root).resolve())
    label = label_of(class_name, VOC_CLASSES)
    data = VOC(folder=base.parent.name, test=((base.name.removeprefix("VOC"), split),))
    truths = []
    for record in data.records(base.parent.parent, "test"):
        entries = zip(record.labels, record.boxes, record.difficult, strict=True)
        kept = of_one_class([Object(k, box) for k, box, difficult in entries if not difficult], label)
        if kept:
            boxes = whole_pixels((one.box for one in kept), record.size)
            truths.append(Truth(f"{record.id}.jpg", record.size, boxes, kept[0].label))
    if not truths:
        raise DataError(f"{base}: no image of {split} has an object{f' {class_name}' if class_name else ''}")
    return tuple(truths)


def _year(base: Path) -> Path:
    years = sorted(path for path in base.glob("VOC[0-9]*") if path.is_dir())
    if not base.name.startswith("VOC") or base.name == "VOCdevkit":
        if len(years) != 1:
            names = ", ".join(path.name for path in years) or "none"
            raise DataError(f"{base}: expected a year's folder, VOC2007 or another; years there are: {names}")
        return years[0]
    return base
