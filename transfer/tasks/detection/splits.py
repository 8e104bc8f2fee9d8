"""A detector must not be tested on what it learned from: both splits are read and compared before any work."""

from collections.abc import Hashable, Iterable
from pathlib import Path

from core.data.overlap import shared as images_in_both
from core.data.records import DataError, SceneRecord, SceneSet


def check_splits(data: SceneSet, root: Path) -> None:
    """Refuse a data set whose splits "train" and "test" are not there, are malformed, or share images.

    Two records are one image where they name one file, or files of the same bytes. Compared are those of the same id,
    file name or annotation; an image that was stored anew, under another name and with other boxes, is not found.

    Raises:
        DataError: names some of the images, or what is not there or malformed.
    """
    train, test = data.records(root, "train"), data.records(root, "test")
    shared = sorted({one.id: two for one, two in images_in_both(train, test, _keys)}.items())
    if shared:
        shown = ", ".join(id if id == two.id else f"{id} (in the test: {two.id})" for id, two in shared[:5])
        raise DataError(
            f'{data.name}: {len(shared)} of {len(train):,} images of the split "train" are in "test" too, so that the '
            f"test would measure what was learned by heart: {shown}{', ...' if len(shared) > 5 else ''}. Name other "
            "image sets in the config's data"
        )


def _keys(record: SceneRecord) -> Iterable[Hashable]:
    yield "id", record.id
    yield "name", record.path.name
    if record.boxes:
        yield record.size, record.boxes, record.labels
