"""An evaluation's folder: config.json first, parts on the way, result.json last. What is killed goes on."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from core import atomic
from core.config import differences
from core.lock import NAME as LOCK
from core.lock import Lock
from eval.errors import EvalError

CONFIG, RESULT, PARTS = "config.json", "result.json", "parts"


@dataclass(frozen=True)
class Folder:
    """`--out`, held by this process."""

    path: Path

    @property
    def parts(self) -> Path:
        """Where the parts lie until the result is there."""
        return self.path / PARTS

    def finish(self, result: dict[str, Any]) -> None:
        """Write result.json; then the parts are not needed."""
        atomic.write_json(self.path / RESULT, result)
        shutil.rmtree(self.parts, ignore_errors=True)


def finished(path: Path, config: dict[str, Any], files: tuple[str, ...]) -> dict[str, Any] | None:
    """The result of this very evaluation, where it is there with these files; None: there is work to do.

    Raises:
        EvalError: the folder holds another evaluation, or something else.
    """
    _check(path, config)
    if not all((path / name).exists() for name in (CONFIG, RESULT, *files)):
        return None
    if _read(path / CONFIG)["code"] != config["code"]:
        return None
    shutil.rmtree(path / PARTS, ignore_errors=True)  # where a kill came between the result and their end
    return _read(path / RESULT)


@contextlib.contextmanager
def opened(path: Path, config: dict[str, Any], *, resume: bool, out: TextIO) -> Iterator[Folder]:
    """Hold the folder: new, or to go on with.

    Args:
        path: the folder; made when absent.
        config: what can change a number; "code" tells parts of another version of the evaluator, which are made anew.
        resume: refuse a folder without an evaluation.
        out: where to say that parts are made anew.

    Raises:
        EvalError: the folder holds another evaluation (the differences are named), or something else.
        UserError: another process is at work in it.
    """
    _check(path, config)
    if resume and not (path / CONFIG).is_file():
        raise EvalError(f"{path}: expected an evaluation to resume, there is no {CONFIG}; leave --resume out to begin")
    lock = Lock(path)
    try:
        _check(path, config)
        if (path / CONFIG).is_file() and _read(path / CONFIG)["code"] != config["code"]:
            out.write(f"{path}: made by another version of the evaluator; begun anew\n")
            shutil.rmtree(path / PARTS, ignore_errors=True)
        (path / RESULT).unlink(missing_ok=True)  # it would say that files are there which are made only now
        for left in path.glob(f".*{atomic.SUFFIX}"):  # by a call that was killed as it wrote
            left.unlink(missing_ok=True)
        atomic.write_json(path / CONFIG, config)
        yield Folder(path)
    finally:
        lock.release()


def _check(path: Path, config: dict[str, Any]) -> None:
    there = _names(path)
    if not there:
        return
    if CONFIG not in there:
        raise EvalError(f"{path} is no evaluation: expected {CONFIG} or an empty folder, there are {there[:5]}")
    old = _read(path / CONFIG)
    lines = differences({**old, "code": None}, {**config, "code": None})
    if lines:
        shown = "\n  ".join(lines)
        raise EvalError(
            f"{path} holds another evaluation (there = that one, here = this call):\n  {shown}\n"
            "choose another --out, or remove that folder"
        )


def _names(path: Path) -> list[str]:
    if not path.exists():
        return []
    if not path.is_dir():
        raise EvalError(f"{path}: expected a folder for --out, it is a file")
    found = sorted(entry.name for entry in path.iterdir())
    return [name for name in found if name != LOCK and not name.endswith(atomic.SUFFIX)]


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or (path.name == CONFIG and "code" not in found):
            raise ValueError("another program's")
    except (OSError, ValueError) as error:
        raise EvalError(f"{path}: expected an evaluation's ({error}); choose another --out or remove it") from None
    return found
