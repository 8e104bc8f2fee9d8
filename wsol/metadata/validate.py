"""Check metadata as far as can be without maps: lines against each other, images and masks against lines."""

from collections.abc import Iterator
from pathlib import Path

from core.data.images import image_size
from core.errors import UserError
from eval.errors import EvalError
from wsol.metadata.tables import IDS, LABELS, LOCALIZATION, SIZES, Problem, Tables, scan, scan_boxes


def validate(
    path: Path, image_root: Path | None = None, *, mask_root: Path | None = None, classes: int | None = None
) -> list[Problem]:
    """Everything that is wrong or odd; every bad line is named.

    Args:
        path: a folder of metadata, or one file of boxes ("id,x0,y0,x1,y1").
        image_root: what image ids are below; where given, image files must exist and have the sizes that are said.
        mask_root: what mask paths are below; default: the folder.
        classes: how many classes there are, where labels are to be held against it.

    Raises:
        UserError: the path does not exist.
    """
    path = Path(path)
    if path.is_file():
        return _sorted(scan_boxes(path))
    if not path.is_dir():
        raise UserError(f"{path} does not exist: expected a folder with {IDS}, {SIZES}, {LOCALIZATION}, {LABELS}")
    tables = scan(path)
    root = path if mask_root is None else Path(mask_root)
    checked: dict[tuple[Path, bool], str | None] = {}
    for id, entries in tables.masks.items():
        for mask, ignore, line in entries:
            for name, empty in ((mask, False), (ignore, True)):
                key = root / name, empty
                if name and key not in checked:
                    checked[key] = _mask_fault(*key)
                if name and (fault := checked[key]):
                    tables.bad(LOCALIZATION, line, fault, id)
    if image_root is not None:
        _check_images(tables, Path(image_root))
    for id, label in tables.labels.items() if classes is not None else ():
        if label >= (classes or 0):
            what = f"class {label} of {id!r} is beyond the {classes} classes, 0 to {(classes or 0) - 1}"
            tables.bad(LABELS, tables.lines[LABELS, id], what, id)
    return _sorted(tables)


def summary(problems: list[Problem], most: int | None = None) -> Iterator[str]:
    """The problems as lines, those of a file as a whole first; at most so many, and how many more there are."""
    for problem in problems[:most]:
        yield str(problem)
    if most is not None and len(problems) > most:
        yield f"... and {len(problems) - most} more"


def _check_images(tables: Tables, root: Path) -> None:
    for id, line in tables.ids.items():
        try:
            size = image_size(root / id)
        except UserError as error:
            tables.bad(IDS, line, str(error), id)
            continue
        said = tables.sizes.get(id)
        if said is not None and said != size:
            what = f"{id!r} is {said[0]} x {said[1]}, but the file {root / id} is {size[0]} x {size[1]}"
            tables.bad(SIZES, tables.lines[SIZES, id], what, id)


def _mask_fault(file: Path, empty: bool) -> str | None:
    """Why the evaluator cannot use a mask; None where it can. empty: it may have no pixel."""
    from eval.localization.masks import read_mask

    try:
        there = read_mask(file, "corrected").any()
    except EvalError as error:
        return str(error)
    return None if there or empty else f"mask {file} has no object in it, every pixel is 0"


def _sorted(tables: Tables) -> list[Problem]:
    return sorted(
        tables.problems, key=lambda problem: (problem.line > 0, problem.notice, str(problem.file), problem.line)
    )
