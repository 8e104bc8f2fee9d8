"""Tokens of references, kept in the user's cache folder by what the references say.

The folder is `transfer/ptb` in XDG_CACHE_HOME, else in `~/.cache`. A file's name is the digest of all texts, of the
tokenizer's program and of our code, its first line the digest of the rest: a file that is damaged, or of another
program, is not used, and one that cannot be written is done without. So the cache changes no result. Files come by
renaming: processes that write the same one at once leave one whole file.
"""

import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_log = logging.getLogger(__name__)
_LEAST: Final = 1000  # fewer captions are tokenized in less time than Java takes to start
_KEPT: Final = 16
"""Files: the oldest go. Those of COCO's val2014 have 11 MB."""


def key(texts: Sequence[str], program: Path, code: Path) -> str:
    """The digest of all texts in their order, of the program's name and size, and of the code around it."""
    digest = hashlib.sha256(f"{program.name} {program.stat().st_size} {len(texts)}\n".encode())
    digest.update(code.read_bytes())
    digest.update("\n".join(texts).encode())
    return digest.hexdigest()


def load(key: str, count: int) -> list[str] | None:
    """The tokens of `count` texts, or None where they are not known."""
    if count < _LEAST:
        return None
    try:
        head, _, body = (_folder() / key).read_bytes().partition(b"\n")
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        return None
    lines = body.decode(errors="replace").split("\n")
    if head.decode(errors="replace") != hashlib.sha256(body).hexdigest() or len(lines) != count:
        _log.warning("%s is damaged: the references are tokenized anew", _folder() / key)
        return None
    return lines


def save(key: str, tokens: Sequence[str]) -> None:
    """Keep the tokens, if there are many and there is a place."""
    if len(tokens) < _LEAST:
        return
    body = "\n".join(tokens).encode()
    try:
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder, key, f"{hashlib.sha256(body).hexdigest()}\n".encode() + body)
        _prune(folder)
    except (OSError, RuntimeError) as error:
        _log.info("the references' tokens cannot be kept for the next time: %s", error)


def _write(folder: Path, name: str, content: bytes) -> None:
    number, part = tempfile.mkstemp(prefix=".", dir=folder)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
        Path(part).replace(folder / name)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(part).unlink()
        raise


def _prune(folder: Path) -> None:
    """Remove the oldest files, those that a killed process left half written among them."""
    ages: list[tuple[float, Path]] = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another process removed it
            ages.append((path.stat().st_mtime, path))
    for _, path in sorted(ages, reverse=True)[_KEPT:]:
        with contextlib.suppress(OSError):
            path.unlink()


def _folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache") / "transfer" / "ptb"
