"""`python -m wsol import-metadata` and `python -m wsol validate-metadata`."""

from collections.abc import Sequence


def import_main(argv: Sequence[str] | None = None) -> int:
    """Write a data set's boxes or masks as metadata; exit code 2 with a message for what the user can put right."""
    raise NotImplementedError


def validate_main(argv: Sequence[str] | None = None) -> int:
    """Check a folder of metadata and name every bad line; exit code 0: none, 2: some."""
    raise NotImplementedError
