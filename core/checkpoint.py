"""checkpoint.pt: what a killed run needs to go on with the same bits. The last two are kept."""

import logging
import pickle
from pathlib import Path
from typing import Any

import torch

from core import atomic

_log = logging.getLogger(__name__)
LATEST, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all; the one before becomes the previous."""
    latest = folder / LATEST
    with atomic.replacing(latest) as temporary:
        torch.save(state, temporary)
        if latest.exists():
            latest.replace(folder / PREVIOUS)


def load(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint that can be read, or None. A broken one is reported and passed over."""
    for name in (LATEST, PREVIOUS):
        path = folder / name
        if not path.is_file():
            continue
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            _log.warning("%s cannot be read and is passed over: %s", path, error)
            continue
        assert isinstance(state, dict)
        return state
    return None
