"""Metadata of CUB-200-2011, from its own text files and the images' headers.

A box is half-open, (x, y, x + width, y + height), so x1 in the file is x + width - 1. wsolevaluation's own metadata
holds x + width, one pixel more: take that where its numbers are to be met.
"""

from pathlib import Path

from core.data.cub import CUB
from eval.localization.truth import Truth
from wsol.metadata.records import from_records


def read(root: Path, split: str = "test") -> tuple[Truth, ...]:
    """The images of a split, "train" or "test", by their paths below images/, as in wsolevaluation's metadata.

    root: CUB_200_2011, or the folder that holds it. DataError: something is missing or malformed.
    """
    base = Path(root).resolve()
    inner = base / "CUB_200_2011"
    base = inner if inner.is_dir() else base
    return from_records(CUB(folder=base.name).records(base.parent, split))
