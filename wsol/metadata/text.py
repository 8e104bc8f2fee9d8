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

from collections.abc import Iterable
from pathlib import Path

from eval.localization.truth import Truth


def read(
    folder: Path, *, mask_root: Path | None = None, skipped: list[tuple[str, str]] | None = None
) -> tuple[Truth, ...]:
    """The images of image_ids.txt, in its order.

    Args:
        folder: what holds the four files.
        mask_root: what mask paths are below; default: `folder`.
        skipped: where given, an image whose lines are wrong is appended to it, (id, why), and left out.

    Raises:
        UserError: a file is missing or empty, or a line is wrong: it is named.
    """
    raise NotImplementedError


def write(folder: Path, truths: Iterable[Truth]) -> None:
    """Write the four files; mask paths relative to `folder`.

    ValueError: boxes and masks mixed, or an id with a comma or a line break.
    """
    raise NotImplementedError
