"""wsolevaluation's metadata: four text files in a folder, fields separated by commas.

| file | line |
|---|---|
| image_ids.txt | id |
| class_labels.txt (may be absent) | id,class from 0 |
| image_sizes.txt (may be empty where there are masks) | id,width,height |
| localization.txt | id,x0,y0,x1,y1 for each box, or id,mask,ignore for each mask |

Source: clovaai/wsolevaluation, data_loaders.py and README. Corners are pixels counted from 0, and x1, y1 are inside
the box: a `Truth` has (x0, y0, x1 + 1, y1 + 1).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from core import atomic
from core.errors import UserError
from eval.localization.truth import Truth
from wsol.metadata.tables import IDS, LABELS, LOCALIZATION, SIZES, Problem, Tables, scan

FILES = (IDS, LABELS, SIZES, LOCALIZATION)
_INCLUSIVE = np.array([0.0, 0.0, 1.0, 1.0])


def read(
    folder: Path, *, mask_root: Path | None = None, skipped: list[tuple[str, str]] | None = None
) -> tuple[Truth, ...]:
    """The images of image_ids.txt, in its order.

    Where image_sizes.txt is empty (OpenImages), an image's size is that of its first mask, and (0, 0) where that cannot
    be read: whoever reads the mask will say so.

    Args:
        folder: what holds the four files.
        mask_root: what mask paths are below; default: `folder`.
        skipped: where given, an image whose lines are wrong is appended to it, (id, why), and left out.

    Raises:
        UserError: a file is missing or empty, or a line is wrong: it is named.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: expected one with {IDS}, {SIZES}, {LOCALIZATION} and {LABELS}")
    tables = scan(folder)
    wrong = [problem for problem in tables.problems if not problem.notice]
    general = [problem for problem in wrong if not problem.id]
    if general or (wrong and skipped is None):
        raise UserError(_told([*general, *wrong]))
    if skipped is not None:
        skipped.extend({problem.id: str(problem) for problem in reversed(wrong)}.items())
    left_out = {problem.id for problem in wrong}
    root = folder if mask_root is None else Path(mask_root)
    return tuple(_truth(tables, id, root) for id in tables.ids if id not in left_out)


def write(folder: Path, truths: Iterable[Truth]) -> None:
    """Write the four files; mask paths relative to `folder`. class_labels.txt only where all classes are known.

    image_sizes.txt is empty where a size is not known, which only masks may have.

    ValueError: no truths, boxes and masks mixed. UserError: an id with a comma or a line break.
    """
    truths = list(truths)
    masks = any(truth.masks for truth in truths)
    if not truths or any(bool(truth.masks) != masks or bool(len(truth.boxes)) == masks for truth in truths):
        raise ValueError("expected at least one image, and boxes of all or masks of all")
    if odd := [truth.id for truth in truths if set(truth.id) & set(",\r\n") or truth.id != truth.id.strip()]:
        raise UserError(f"ids with a comma, a line break or outer blanks cannot be written: {odd[:10]}")
    known = all(min(truth.size) > 0 for truth in truths)
    located = [line for truth in truths for line in (_mask_lines(truth, folder) if masks else _box_lines(truth))]
    files = {
        IDS: [truth.id for truth in truths],
        SIZES: [f"{truth.id},{truth.size[0]},{truth.size[1]}" for truth in truths] if known else [],
        LOCALIZATION: located,
    }
    if all(truth.label is not None for truth in truths):
        files[LABELS] = [f"{truth.id},{truth.label}" for truth in truths]
    else:
        (Path(folder) / LABELS).unlink(missing_ok=True)
    for name, lines in files.items():
        atomic.write_text(Path(folder) / name, "".join(f"{line}\n" for line in lines))


def _truth(tables: Tables, id: str, root: Path) -> Truth:
    label = tables.labels.get(id)
    if id in tables.boxes:
        return Truth(id, tables.sizes[id], np.array(tables.boxes[id], np.float64) + _INCLUSIVE, label)
    entries = tables.masks[id]
    masks = tuple(root / mask for mask, _, _ in entries)
    ignore = next((root / ignore for _, ignore, _ in entries if ignore), None)
    return Truth(id, tables.sizes.get(id) or _size(masks[0]), label=label, masks=masks, ignore=ignore)


def _size(mask: Path) -> tuple[int, int]:
    """From the header: 10 microseconds for a PNG file; (0, 0) where it cannot be read."""
    try:
        with mask.open("rb") as file:
            start = file.read(24)
        if start[:8] == b"\x89PNG\r\n\x1a\n" and len(start) == 24:
            return int.from_bytes(start[16:20], "big"), int.from_bytes(start[20:24], "big")
        from core.data.images import image_size

        return image_size(mask)
    except (OSError, UserError):
        return 0, 0


def _told(problems: Sequence[Problem]) -> str:
    more = f"\n{len(problems) - 1} more; see python -m wsol validate-metadata" if len(problems) > 1 else ""
    return f"{problems[0]}{more}"


def _box_lines(truth: Truth) -> list[str]:
    return [f"{truth.id},{','.join(map(_number, box))}" for box in (truth.boxes - _INCLUSIVE).tolist()]


def _mask_lines(truth: Truth, folder: Path) -> list[str]:
    """An ignore mask stands in an image's first line only: wsolevaluation refuses it in others."""
    ignored = [truth.ignore, *[None] * (len(truth.masks) - 1)]
    pairs = zip(truth.masks, ignored, strict=True)
    return [f"{truth.id},{_below(mask, folder)},{_below(ignore, folder) if ignore else ''}" for mask, ignore in pairs]


def _number(value: float) -> str:
    """Whole numbers without a point: wsolevaluation reads no others."""
    return str(int(value)) if value == int(value) else repr(value)


def _below(path: Path, folder: Path) -> str:
    return Path(path).relative_to(folder).as_posix()
