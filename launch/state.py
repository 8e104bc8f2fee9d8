"""What a cell's folder says about the cell."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Any

from launch.plan import PlannedCell


class State(StrEnum):
    """How far a cell is, read from its folder alone."""

    DONE = "done"
    INCOMPLETE = "incomplete"
    """Begun, and to go on from its checkpoint."""
    MISSING = "missing"
    OTHER = "other config"
    """The folder holds a run of another config, or of other data: its command will refuse, unless forced."""


def state_of(cell: PlannedCell, runs: Path) -> State:
    """The state of a cell below the folder `runs`.

    Without the cell's digest (its data is not there any more) the config alone decides.
    """
    folder = runs / cell.key
    result = _read(folder / "result.json")
    if result is not None:
        name = "config_digest" if cell.digest is None else "digest"
        expected = cell.config_digest if cell.digest is None else cell.digest
        return State.DONE if expected is not None and result.get(name) == expected else State.OTHER
    config = _read(folder / "config.json")
    if config is None:
        return State.MISSING
    return State.INCOMPLETE if cell.digest in (None, config.get("digest")) else State.OTHER


def _read(path: Path) -> dict[str, Any] | None:
    """A JSON object; None where there is no file. A damaged file is an empty one: of no config that we know."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return None
    except UnicodeDecodeError:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
