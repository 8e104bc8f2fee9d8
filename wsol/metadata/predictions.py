"""Class predictions of any classifier: what top-1 and top-5 Loc need beside maps."""

from pathlib import Path


def read_ranked(path: Path) -> dict[str, tuple[int, ...]]:
    """Classes by image id, best first.

    A .csv file has lines "id,class[,class...]", a .json file {"id": [class, ...]}; classes count from 0.
    UserError names the line or id: malformed, an id twice, a class twice, a negative class, lists of several lengths.
    """
    raise NotImplementedError
