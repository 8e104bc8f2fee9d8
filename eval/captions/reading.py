"""Captions from files: COCO's results format, and references in COCO's format or Karpathy's."""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

import msgspec

from core.data.captions import decode
from core.data.coco import read_captions
from core.data.karpathy import read_karpathy
from core.data.records import DataError
from eval.columns import count, first_ten
from eval.errors import EvalError

_RESULTS = 'COCO\'s results: a list of {"image_id": number, "caption": text}, or an object with it as "annotations"'
_REFERENCES = "COCO's captions_*.json, or dataset_*.json of Karpathy: an object with a list of images"


class _Caption(msgspec.Struct, gc=False):
    image_id: int
    caption: str


class _DataSet(msgspec.Struct, gc=False):
    """Some programs write the results as a data set's annotations."""

    annotations: list[_Caption]


class _Sentence(msgspec.Struct, gc=False):
    """Only counted."""


class _Image(msgspec.Struct, gc=False):
    """What either format says of an image's file. Karpathy's images have sentences."""

    id: int | None = None
    file_name: str = ""
    cocoid: int | None = None
    imgid: int | None = None
    filepath: str = ""
    filename: str = ""
    sentences: list[_Sentence] | None = None


class _Images(msgspec.Struct, gc=False):
    images: list[_Image]


def read_results(path: Path) -> dict[int, str]:
    """One caption an image, in the file's order.

    A caption may be empty or hold control characters: whoever scores it says what they count as. Other keys than
    "image_id" and "caption" are passed over.

    Raises:
        DataError: the file is missing, malformed or truncated, or an entry lacks a key or has one of another type; the
            message names the file and the entry, counted from 0.
        EvalError: an image is there twice, or there is no caption at all.
    """
    content = decode(path, list[_Caption] | _DataSet, _RESULTS)  # type: ignore[arg-type]  # mypy knows no union here
    entries = content.annotations if isinstance(content, _DataSet) else content
    found = {entry.image_id: entry.caption for entry in entries}
    if not found:
        raise EvalError(f"{path}: no captions; expected {_RESULTS}")
    if len(found) < len(entries):
        raise EvalError(f"{path}: {_twice(entries)}; expected one caption an image")
    return found


def read_references(path: Path, split: str | None = None) -> dict[int, tuple[str, ...]]:
    """The captions of every image, in the order of the image ids.

    Args:
        path: captions_*.json of COCO (2014, 2017, or a file of that format), or dataset_*.json of Karpathy.
        split: of Karpathy's file, as it is named there: "train", "restval", "val", "test".

    Raises:
        DataError: the file is missing, malformed or inconsistent.
        EvalError: a split is named of a file that has none, is missing, or is unknown; the message says what there is.
    """
    if split is None:
        if is_karpathy(path):
            raise EvalError(f"{path}: a file with several splits: say --split {'|'.join(read_karpathy(path))}")
        return read_captions(path)
    try:
        splits = read_karpathy(path)
    except DataError:
        if is_karpathy(path):
            raise
        raise EvalError(
            f"--split {split}: of Karpathy's dataset_*.json; {path} is no such file: it has no splits"
        ) from None
    if split not in splits:
        raise EvalError(f"--split {split}: {path} has no such split; there are {', '.join(splits)}")
    return splits[split]


def read_training(path: Path) -> list[str]:
    """All captions that a model may have been trained on: of COCO's file all, of Karpathy's "train" and "restval".

    Raises DataError as `read_references`; EvalError: Karpathy's file has neither.
    """
    if not is_karpathy(path):
        return [caption for captions in read_captions(path).values() for caption in captions]
    splits = read_karpathy(path)
    mine = [splits[name] for name in ("train", "restval") if name in splits]
    if not mine:
        raise EvalError(f"{path}: no split to train on: expected train or restval, there are {', '.join(splits)}")
    return [caption for one in mine for captions in one.values() for caption in captions]


def is_karpathy(path: Path) -> bool:
    """Whether the file's images have sentences, as Karpathy's have. DataError: it is missing or malformed."""
    images = decode(path, _Images, _REFERENCES).images
    return bool(images) and images[0].sentences is not None


def image_files(where: Path) -> dict[int, PurePosixPath]:
    """Where a file of references says that its images lie, by id: relative to the folder of all images.

    Karpathy's file has the folder of COCO's images too ("val2014"). An image without a file name is left out, and one
    that would not lie below the folder. DataError: the file is missing or malformed.
    """
    found = {}
    for one in decode(where, _Images, _REFERENCES).images:
        id = next((id for id in (one.cocoid, one.imgid, one.id) if id is not None), None)
        name = one.filename or one.file_name
        if id is None or not name:
            continue
        path = PurePosixPath(one.filepath) / name
        if not path.is_absolute() and ".." not in path.parts:
            found[id] = path
    return found


def matched(
    path: Path, candidates: Mapping[int, str], where: str, references: Mapping[int, tuple[str, ...]], subset: bool
) -> dict[int, tuple[str, ...]]:
    """The references of the images that candidates are of, in the references' order.

    Args:
        path: the file of the candidates, for the message.
        candidates: one caption an image.
        where: the file of the references, with its split if it has several, for the message.
        references: of every image.
        subset: whether there may be references of other images, which are left out.

    Raises:
        EvalError: an image has a caption but no references, or, unless `subset`, references but no caption; the first
            ten are listed.
    """
    if unknown := [image for image in candidates if image not in references]:
        raise EvalError(
            f"{path}: captions of {count(len(unknown), 'image')} that {where} does not have ({first_ten(unknown)}). "
            f"It has {len(references):,}, such as {', '.join(map(str, list(references)[:3]))}"
        )
    missing = [image for image in references if image not in candidates]
    if missing and not subset:
        raise EvalError(
            f"{path}: no caption of {count(len(missing), 'image')} of {where} ({first_ten(missing)}). "
            f"All {len(references):,} count in a published number; --subset scores those {len(candidates):,} alone"
        )
    return {image: texts for image, texts in references.items() if image in candidates}


def _twice(entries: Iterable[_Caption]) -> str:
    """Names the images that are there more than once, and where the first of them is."""
    places: dict[int, list[int]] = {}
    for at, entry in enumerate(entries):
        places.setdefault(entry.image_id, []).append(at)
    twice = [image for image, found in places.items() if len(found) > 1]
    first = places[twice[0]]
    shown = f"image {twice[0]} is there {len(first)} times (entries {', '.join(f'$[{at}]' for at in first[:3])})"
    return shown if len(twice) == 1 else f"{shown}, and {count(len(twice[1:]), 'image')} more than once too"
