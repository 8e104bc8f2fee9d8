"""Files written whole or not at all."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from eval.errors import EvalError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to, of the same suffix; it takes the place of `path` at the end.

    Of a link, the place of the file that it leads to. Whatever goes wrong leaves the old file as it was. EvalError: the
    file cannot be written.
    """
    if fault := _in_the_way(path):
        raise EvalError(f"{path}: cannot be written: {fault}")
    target = Path(os.path.realpath(path))
    part = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(target)
    except OSError as error:
        raise EvalError(f"{path}: cannot be written: {error}") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def check_outputs(outputs: Sequence[Path], inputs: Iterable[Path]) -> None:
    """EvalError for files that could not be written, or would cost another file: said before the work, not after.

    Args:
        outputs: what will be written.
        inputs: what is read.
    """
    read = {os.path.realpath(path) for path in inputs}
    for path in outputs:
        _refuse_unwritable(path)
        if os.path.realpath(path) in read:
            raise EvalError(f"{path}: is read; it is not written over")
    if len({os.path.realpath(path) for path in outputs}) < len(outputs):
        raise EvalError(f"{', '.join(map(str, outputs))}: two files of one name")


def _refuse_unwritable(path: Path) -> None:
    try:
        there = next(folder for folder in path.absolute().parents if folder.exists())
        fault = _in_the_way(path) or ("" if there.is_dir() else f"{there} is no folder")
    except OSError as error:  # a folder above may not be looked into
        raise EvalError(f"{path}: cannot be written: {error}") from None
    if not fault and not os.access(there, os.W_OK):
        fault = f"{there} may not be written to"
    if fault:
        raise EvalError(f"{path}: cannot be written: {fault}")


def _in_the_way(path: Path) -> str:
    """What has this name that a file must not take the place of: root could replace /dev/null."""
    if path.is_dir():
        return "a folder has this name"
    return "what has this name is no file" if path.exists() and not path.is_file() else ""
