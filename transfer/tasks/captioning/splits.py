"""A captioner must not be tested on what it learned from: both splits are read and compared before any work."""

from collections.abc import Hashable, Iterable
from pathlib import Path

from core.data.overlap import shared
from core.data.records import CaptionRecord, CaptionSet, DataError


def check_splits(data: CaptionSet, test_split: str, root: Path) -> None:
    """Refuse a data set whose splits "train" and `test_split` are not there, are malformed, or share images.

    Two records are one image where they name one file, or files of the same bytes; compared are those of the same id,
    file name or captions. So the images of val2014 that are in train2017 too, under other names, are found; an image
    that was stored anew, under another name, is not.

    Raises:
        DataError: names some of the images, or what is not there or malformed.
    """
    if test_split == "train":
        raise DataError(
            f'{data.name}: expected another split than "train", on which the decoder is trained, to test on, came '
            f'test_split="train". Splits there are: {", ".join(data.official)}'
        )
    train, test = data.records(root, "train"), data.records(root, test_split)
    if found := shared(train, test, _keys):
        shown = ", ".join(
            f"image {one.id} ({one.path.name}{'' if one == two else f', in the test image {two.id}, {two.path.name}'})"
            for one, two in found[:5]
        )
        raise DataError(
            f'{data.name}: {len(found):,} of {len(train):,} images of the split "train" are in {test_split!r} too, so '
            f"that the test would measure what was learned by heart: {shown}{', ...' if len(found) > 5 else ''}. Name "
            "other splits in the config's data (of COCO train2014 and val2014, or train2017 and val2017: val2014 and "
            "train2017 have 35,504 images in common)"
        )


def _keys(record: CaptionRecord) -> Iterable[Hashable]:
    return record.id, record.path.name, record.captions
