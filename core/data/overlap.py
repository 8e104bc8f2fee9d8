"""Images that two splits share, so that a test measures what was learned by heart."""

import filecmp
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from core.data.records import CaptionRecord, DataError, SceneRecord

R = TypeVar("R", SceneRecord, CaptionRecord)


def shared(train: Sequence[R], test: Sequence[R], keys: Callable[[R], Iterable[Hashable]]) -> list[tuple[R, R]]:
    """(training record, test record) of every training image that is in the test too, each once, in their order.

    Two records are one image where they name one file, or files of the same bytes. Files are read only for records
    that have a key in common, so that splits that share none of them cost no reading.

    Args:
        train, test: the records of the two splits.
        keys: what tells that two records may be of one image: id, name, annotation.

    Raises:
        DataError: an image file cannot be read.
    """
    tested: defaultdict[Hashable, list[R]] = defaultdict(list)
    for two in test:
        for key in keys(two):
            tested[key].append(two)
    found = []
    for one in train:
        suspects = {two.path: two for key in keys(one) for two in tested.get(key, ())}
        if (same := next((two for two in suspects.values() if _same(one.path, two.path)), None)) is not None:
            found.append((one, same))
    return found


def _same(one: Path, two: Path) -> bool:
    try:
        return one == two or filecmp.cmp(one, two, shallow=False)
    except OSError as error:
        raise DataError(f"{error.filename}: the image file cannot be read ({error.strerror})") from error
