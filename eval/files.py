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
