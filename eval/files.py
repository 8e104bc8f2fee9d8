"""Files written whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from eval.errors import EvalError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to, of the same suffix; it takes the place of `path` at the end.

    Whatever goes wrong leaves the old file as it was. EvalError: the file cannot be written.
    """
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise EvalError(f"{path}: cannot be written: {error}") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def refuse_unwritable(path: Path) -> None:
    """EvalError where a file of this name could not be written: said before the work, not after."""
    try:
        there = next(folder for folder in path.absolute().parents if folder.exists())
        fault = "a folder has this name" if path.is_dir() else "" if there.is_dir() else f"{there} is no folder"
    except OSError as error:  # a folder above may not be looked into
        raise EvalError(f"{path}: cannot be written: {error}") from None
    if not fault and not os.access(there, os.W_OK):
        fault = f"{there} may not be written to"
    if fault:
        raise EvalError(f"{path}: cannot be written: {fault}")
