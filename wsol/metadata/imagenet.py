"""Metadata of ImageNet (ILSVRC), from its XML files, or from a data set's folder as `core.data.imagenet` reads it.

Corners in the XML files are pixels counted from 0, the last ones inside the box (`core.data.imagenet` says how this is
known); a few reach out of the image, and are clipped as in wsolevaluation's metadata.
"""

import os
from pathlib import Path

import numpy as np

from core.data.imagenet import ImageNet
from core.data.parsing import XmlAnnotation, read_annotation, read_text
from core.data.records import DataError
from eval.localization.truth import Truth
from wsol.metadata.records import from_records

_KAGGLE = Path("Annotations/CLS-LOC")


def read(root: Path, split: str = "val", classes: Path | None = None) -> tuple[Truth, ...]:
    """The images of a split.

    Args:
        root: ILSVRC as it unpacks (Annotations/CLS-LOC/<split>/*.xml), a folder of XML files, or a data set's folder
            (val/<class folder>/*.JPEG and localization/).
        split: the folder of XML files; ids are "<split>/<file>.JPEG", as in wsolevaluation's metadata. From a data
            set's folder ids are "<class folder>/<file>", as `python -m wsol extract` has them.
        classes: a file whose lines begin with the classes' WordNet ids (LOC_synset_mapping.txt, synsets.txt); a label
            is the place among them when sorted. Default: the classes that the XML files name.

    Raises:
        DataError: something is missing or malformed, an image with objects of several classes, or of none.
    """
    base = Path(root).resolve()
    folder = next((path for path in (base / _KAGGLE / split, base / split, base) if _has_xml(path)), None)
    if folder is None:
        if (base / split).is_dir():
            return from_records(ImageNet(folder=base.name, val=split).records(base.parent, "val"))
        raise DataError(f"{base}: expected XML files in it, in {split}/ or in {_KAGGLE / split}/, there are none")
    read = {path.stem: read_annotation(path) for path in sorted(folder.glob("*.xml"))}
    names = {stem: _class(annotation, folder / f"{stem}.xml") for stem, annotation in read.items()}
    labels = {name: label for label, name in enumerate(_classes(classes) if classes else sorted(set(names.values())))}
    if strangers := sorted(set(names.values()) - labels.keys()):
        raise DataError(f"{classes}: has no line for {', '.join(strangers[:10])}, which XML files in {folder} name")
    return tuple(
        Truth(f"{split}/{stem}.JPEG", one.size, _boxes(one, folder / f"{stem}.xml"), labels[names[stem]])
        for stem, one in read.items()
    )


def _has_xml(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(entry.name.endswith(".xml") for entry in entries)


def _class(annotation: XmlAnnotation, path: Path) -> str:
    names = {one.name for one in annotation.objects}
    if len(names) != 1:
        raise DataError(f"{path}: expected objects of one class, came {', '.join(sorted(names)) or 'none'}")
    return names.pop()


def _classes(path: Path) -> list[str]:
    names = sorted({line.split()[0] for line in read_text(path).splitlines() if line.strip()})
    if not names:
        raise DataError(f"{path}: expected a WordNet id in each line, the file is empty")
    return names


def _boxes(annotation: XmlAnnotation, path: Path) -> np.ndarray:
    width, height = annotation.size
    corners: np.ndarray = np.array(
        sorted({one.corners for one in annotation.objects}), np.float64
    )  # [G, 4], x1 and y1 inside
    corners = np.clip(corners, 0, np.array([width - 1, height - 1] * 2))
    if (corners[:, 2:] < corners[:, :2]).any():
        raise DataError(f"{path}: expected xmin <= xmax and ymin <= ymax within {width} x {height}")
    corners[:, 2:] += 1
    return corners
