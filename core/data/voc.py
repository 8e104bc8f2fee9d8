"""Pascal VOC detection: 20 classes, image sets of several years.

Source: Everingham et al., IJCV 2010; the development kits of 2007 and 2012. In the XML a box's corners are pixels
counted from 1, both inclusive: a box over the whole of a 500 x 375 image is (1, 1, 500, 375), here (0, 0, 500, 375).
Years after 2010 hold a few corners with decimals ("45.70"), taken as they are. Some tools write VOC files counted
from 0: xmin below 1 is accepted and becomes 0.

An image's id is six digits in 2007 ("000005") and a year with six digits later ("2008_000002"): a folder of one kind
under the name of the other is refused. Ids of any other form, of one's own images in VOC's layout, are taken.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from core.data.folders import file_names
from core.data.parsing import XmlObject, read_annotation, rows
from core.data.records import Box, DataError, SceneRecord, SceneSet

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""In the official, alphabetical order; a label is an index into it."""

Sets = tuple[tuple[str, str], ...]
"""(year, image set) pairs, read one after the other."""

_LABELS = {name: label for label, name in enumerate(VOC_CLASSES)}
_PUBLISHED = {
    **{("2007", "train"): 2501, ("2007", "val"): 2510, ("2007", "trainval"): 5011, ("2007", "test"): 4952},
    **{("2012", "train"): 5717, ("2012", "val"): 5823, ("2012", "trainval"): 11540},
}
_OF_2007, _OF_LATER_YEARS = re.compile(r"\d{6}"), re.compile(r"20\d\d_\d{6}")


@dataclass(frozen=True)
class VOC(SceneSet):
    """Pascal VOC. The default is the field's standard: train on 2007 + 2012 trainval, test on 2007 test."""

    name: ClassVar[str] = "VOC"
    layout: ClassVar[str] = """
VOCdevkit/VOC<year>/ImageSets/Main/<set>.txt   one image id per line
VOCdevkit/VOC<year>/Annotations/<id>.xml
VOCdevkit/VOC<year>/JPEGImages/<id>.jpg
"""
    official: ClassVar[dict[str, int]] = {"train": 16551, "test": 4952}

    folder: str = "VOCdevkit"
    """The folder that holds VOC<year>."""
    train: Sets = (("2007", "trainval"), ("2012", "trainval"))
    """(year, image set) pairs of the split "train"."""
    test: Sets = (("2007", "test"),)
    """(year, image set) pairs of the split "test"."""

    def classes(self, root: Path) -> tuple[str, ...]:
        """The 20 names, whatever the root holds."""
        return VOC_CLASSES

    def published(self, split: str) -> int:
        """The sum over this split's sets; an image set that is not an official one counts as 0."""
        return sum(_PUBLISHED.get(pair, 0) for pair in self._sets(split))

    def _sets(self, split: str) -> Sets:
        self._check_split(split)
        return self.train if split == "train" else self.test

    def _needs(self, root: Path, split: str) -> Iterable[tuple[Path, str]]:
        yield root / self.folder, "folder"
        for year, images in self._sets(split):
            base = root / self.folder / f"VOC{year}"
            yield base, "folder"
            for name in ("ImageSets/Main", "Annotations", "JPEGImages"):
                yield base / name, "folder"
            yield base / "ImageSets" / "Main" / f"{images}.txt", "file"

    def _read(self, root: Path, split: str) -> tuple[SceneRecord, ...]:
        records: dict[str, SceneRecord] = {}
        jpegs: dict[str, set[str]] = {}
        for year, images in self._sets(split):
            base = root / self.folder / f"VOC{year}"
            if year not in jpegs:
                jpegs[year] = set(file_names(base / "JPEGImages"))
            ids = _listed(base, year, images)
            for name, where in ids.items():
                if name in records:
                    raise DataError(f"{where}: image {name} is in split {split!r} twice")
                if f"{name}.jpg" not in jpegs[year]:
                    raise DataError(f"{where}: image {name} has no file {base / 'JPEGImages' / name}.jpg")
            for name in sorted(ids):
                records[name] = _scene(base, name, ids[name])
        return tuple(records.values())


def annotations(root: Path, year: str = "2007", image_set: str = "test") -> tuple[SceneRecord, ...]:
    """The ground truth of one image set, sorted by id, for an evaluator: the images themselves need not be there.

    Args:
        root: the folder VOCdevkit, the one that holds it, or VOC<year> itself. year: "2007", ... image_set: "test", ...

    Raises:
        DataError: something is missing or malformed; the message names the file.
    """
    base = _year_folder(Path(root), year)
    listed = base / "ImageSets" / "Main" / f"{image_set}.txt"
    if not listed.is_file():
        there = sorted(path.stem for path in listed.parent.glob("*.txt") if "_" not in path.stem)
        raise DataError(f"{listed}: no such image set. Sets there are: {', '.join(there) or 'none'}")
    ids = _listed(base, year, image_set)
    return tuple(_scene(base, name, ids[name]) for name in sorted(ids))


def _year_folder(root: Path, year: str) -> Path:
    places = root / f"VOC{year}", root / "VOCdevkit" / f"VOC{year}", root
    for base in places:
        if base.name == f"VOC{year}" and (base / "Annotations").is_dir():
            return base
    years = sorted({path.name for place in (root, root / "VOCdevkit") for path in place.glob("VOC[0-9]*")})
    raise DataError(
        f"VOC {year}: expected the folders Annotations and ImageSets/Main in VOC{year}, below {root} or "
        f"{root / 'VOCdevkit'}. There {'are ' + ', '.join(years) if years else 'is no year'}"
    )


def _listed(base: Path, year: str, images: str) -> dict[str, str]:
    """Image id -> "file:line" of an image set, in the file's order."""
    listed = base / "ImageSets" / "Main" / f"{images}.txt"
    of_another = _OF_LATER_YEARS if year == "2007" else _OF_2007
    ids: dict[str, str] = {}
    for where, (name,) in rows(listed, "<image id>"):
        if name in ids:
            raise DataError(f"{where}: image {name} is in image set {images!r} twice")
        if of_another.fullmatch(name):
            raise DataError(
                f"{where}: image {name} is not of VOC{year}: ids of 2007 are six digits (000005), those of later years "
                f"a year and six digits (2008_000002). Is another year's folder at {base}?"
            )
        ids[name] = where
    if not ids:
        raise DataError(f"{listed}: expected one image id per line, the file is empty")
    return ids


def _scene(base: Path, name: str, where: str) -> SceneRecord:
    xml = base / "Annotations" / f"{name}.xml"
    if not xml.is_file():
        raise DataError(f"{where}: image {name} has no annotation file {xml}")
    annotation = read_annotation(xml)
    return SceneRecord(
        id=name,
        path=base / "JPEGImages" / f"{name}.jpg",
        size=annotation.size,
        boxes=tuple(_half_open(one, annotation.size) for one in annotation.objects),
        labels=tuple(_label(one) for one in annotation.objects),
        difficult=tuple(one.difficult for one in annotation.objects),
    )


def _half_open(one: XmlObject, size: tuple[int, int]) -> Box:
    xmin, ymin, xmax, ymax = one.corners
    written = f"box (xmin {xmin:g}, ymin {ymin:g}, xmax {xmax:g}, ymax {ymax:g})"
    width, height = size
    if xmin < 0 or ymin < 0 or xmax > width or ymax > height:
        raise DataError(f"{one.where}: {written} is outside the image of {width} x {height} pixels")
    if xmax < max(xmin, 1) or ymax < max(ymin, 1):
        raise DataError(f"{one.where}: {written} has no area; corners are pixels counted from 1, both inclusive")
    return max(xmin - 1.0, 0.0), max(ymin - 1.0, 0.0), xmax, ymax


def _label(one: XmlObject) -> int:
    label = _LABELS.get(one.name)
    if label is None:
        raise DataError(f"{one.where}: unknown class {one.name!r}. Classes there are: {', '.join(VOC_CLASSES)}")
    return label
