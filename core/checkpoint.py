"""checkpoint.pt: what a killed run needs to go on with the same bits (`core.loop` says when). The last two are kept.

A checkpoint is torch's own format, a zip archive whose records carry checksums. torch does not look at these when it
reads, so that a flipped bit would pass into the weights; here they are compared first.
"""

import logging
import pickle
import zipfile
from pathlib import Path
from typing import IO, Any, cast

import torch

from core import atomic
from core.errors import UserError

_log = logging.getLogger(__name__)
LATEST, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all; the one before becomes the previous.

    Raises:
        OSError: the disk is full, or the like; the one before is as it was.
    """
    latest = folder / LATEST
    with atomic.replacing(latest) as temporary:
        with temporary.open("wb") as file:
            noted = _Noted(file)
            try:
                torch.save(state, cast("IO[bytes]", noted))
            except RuntimeError as error:
                raise noted.error or error from None
        if latest.exists():
            latest.replace(folder / PREVIOUS)


class _Noted:
    """A file that keeps the error of a write: of a full disk torch.save says "unexpected pos", as a RuntimeError."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self.file.flush()


def load(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint that can be read; None: there is none. A broken one is reported and passed over.

    Raises:
        UserError: there are some, and none can be read: to start anew is the user's choice.
    """
    broken: list[str] = []
    for path in [folder / name for name in (LATEST, PREVIOUS) if (folder / name).is_file()]:
        try:
            _verify(path)
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
            broken.append(f"{path} cannot be read and is passed over: {error}")
            continue
        assert isinstance(state, dict)
        for line in broken:
            _log.warning("%s; the run goes on from %s and repeats the steps since", line, path.name)
        return state
    if broken:
        raise UserError(f"{'; '.join(broken)}; there is no other to go on from. --force starts the run anew")
    return None


def _verify(path: Path) -> None:
    """ValueError or BadZipFile: the file is not what was written."""
    with zipfile.ZipFile(path) as archive:
        if (broken := archive.testzip()) is not None:
            raise ValueError(f"the checksum of its record {broken} does not agree")
