"""What a table takes, resolved: every cell with its command, digest, data and number of images; and its cache.

Resolving imports the configs, hence torch, in a process of its own (launch/resolve.py). What it finds is kept in
`runs/tables/<table>.plan.json` with a hash of what went into it; while that holds, a launch imports no torch at all.
"""

import dataclasses
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.config import CHECKOUT
from core.errors import UserError

SCHEMA = 1
ROOMS = ("configs", "pretrain", "transfer", "wsol", "eval", "launch", "core")
STAGES = ("pretrain", "transfer", "wsol")
_LISTED = 500  # data folders watched for changes, at most: a root and two levels below it


@dataclass(frozen=True)
class DataUse:
    """A split that a cell reads. images: in it, or in the published set where it is not there; None: not known yet."""

    name: str
    split: str
    root: str
    images: int | None
    missing: str | None = None
    """Why it cannot be read: what is missing, where it was looked for, the layout expected. None: it is there."""
    world: bool = False
    """Part of a synthetic world that a launch writes first."""


@dataclass(frozen=True)
class PlannedCell:
    """A cell as a launch sees it. `command` is what stands after `python`; the folder is the key below the runs."""

    key: str
    stage: str
    config: str
    row: str
    seed: int
    needs: tuple[str, ...]
    command: tuple[str, ...]
    digest: str | None = None
    """None: not known, as the data or the cell before is missing, or the config does not load."""
    config_digest: str | None = None
    images: int | None = None
    """Images that the cell processes, over all epochs and the test."""
    data: tuple[DataUse, ...] = ()
    error: str | None = None
    """Why the cell cannot start, whatever is run before it: its config does not load, another world is in the way."""

    @property
    def missing(self) -> tuple[DataUse, ...]:
        """The data that is not there and that no launch will write."""
        return tuple(use for use in self.data if use.missing is not None and not use.world)

    @property
    def shown_command(self) -> str:
        """The command as one would type it."""
        return shlex.join(["python", *self.command])


@dataclass(frozen=True)
class Plan:
    """The resolved cells of a table, each after the one that it needs."""

    name: str
    cells: tuple[PlannedCell, ...]
    watched: dict[str, list[int] | None] = field(default_factory=dict)
    """State of the files and folders that the plan depends on beside the Python files."""

    @property
    def reusable(self) -> bool:
        """Whether a later launch may take this plan: not while something is wrong, which may be mended out of sight."""
        return all(cell.digest is not None and not cell.missing for cell in self.cells)

    def to_json(self, key: str) -> dict[str, Any]:
        """The plan file's content; `key` is the hash of what went into it."""
        cells = {cell.key: dataclasses.asdict(cell) for cell in self.cells}
        return {"schema": SCHEMA, "key": key, "table": self.name, "watched": self.watched, "cells": cells}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Plan":
        """The inverse of `to_json`."""
        cells = []
        for cell in value["cells"].values():
            cell["data"] = [DataUse(**use) for use in cell["data"]]
            fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in cell.items()}
            cells.append(PlannedCell(**fields))
        return cls(value["table"], tuple(cells), value["watched"])


@dataclass(frozen=True)
class Source:
    """What a plan is made from: a table file and what the command line says about data, runs and seeds."""

    table: Path
    runs: Path = Path("runs")
    data_root: Path | None = None
    seeds: tuple[int, ...] = ()
    """Seeds instead of the table's own."""

    @property
    def configs(self) -> Path:
        """The folder that the table's config paths are relative to: the one that holds `tables/`, or the checkout's."""
        beside = self.table.parent.parent
        if self.table.parent.name == "tables" and any((beside / stage).is_dir() for stage in STAGES):
            return beside
        return Path("configs") if Path("configs").is_dir() else CHECKOUT / "configs"

    def arguments(self) -> list[str]:
        """The command line of launch/resolve.py for this source."""
        words = [str(self.table), "--runs", str(self.runs)]
        words += ["--data-root", str(self.data_root)] if self.data_root is not None else []
        return words + (["--seeds", ",".join(map(str, self.seeds))] if self.seeds else [])

    def key(self) -> str:
        """A hash of everything that the plan depends on and that can be read in milliseconds."""
        found = hashlib.sha256(json.dumps([SCHEMA, sys.version, *self.arguments()]).encode())
        for file in _python_files(self.table, self.configs):
            found.update(str(file).encode() + b"\0" + file.read_bytes() + b"\0")
        return found.hexdigest()[:16]


def plan_path(name: str, runs: Path) -> Path:
    """Where the plan of a table lies."""
    return runs / "tables" / f"{name}.plan.json"


def cached(name: str, source: Source, key: str) -> Plan | None:
    """The plan kept for this table, if nothing that it depends on has changed since."""
    try:
        value = json.loads(plan_path(name, source.runs).read_text())
        if value["schema"] != SCHEMA or value["key"] != key:
            return None
        plan = Plan.from_json(value)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    unchanged = all(stamp(Path(path)) == state for path, state in plan.watched.items())
    return plan if unchanged and plan.reusable else None


def get(name: str, source: Source, *, write: bool, say: Callable[[str], None]) -> Plan:
    """The table's plan: from the cache, or resolved in a process of its own.

    Args:
        name: the table's name. source: what it is made from.
        write: write synthetic worlds that are missing, and the plan; a dry run writes nothing.
        say: told when the configs are to be resolved, which takes seconds.

    Raises:
        UserError: the resolver failed; it has said why.
    """
    key = source.key()
    plan = cached(name, source, key)
    if plan is not None:
        return plan
    say("resolving the configs; later calls skip this until code or data change")
    with tempfile.TemporaryDirectory(prefix="plan") as folder:
        out = plan_path(name, source.runs) if write else Path(folder) / "plan.json"
        words = [*source.arguments(), "--out", str(out), "--key", key, *([] if write else ["--dry-run"])]
        done = subprocess.run([sys.executable, "-m", "launch.resolve", *words], env=environment(), check=False)
        if done.returncode:
            raise UserError(f"{source.table}: the configs could not be resolved (exit code {done.returncode})")
        return Plan.from_json(json.loads(out.read_text()))


def environment() -> dict[str, str]:
    """This process's variables, with the checkout importable by the processes that it starts."""
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": str(CHECKOUT) + (os.pathsep + path if path else "")}


def stamp(path: Path) -> list[int] | None:
    """What changes when a file or folder does: [time of change in ns, size]; None where there is none."""
    try:
        state = path.stat()
    except OSError:
        return None
    return [state.st_mtime_ns, state.st_size if path.is_file() else 0]


def watch(roots: Iterable[Path], files: Iterable[Path] = ()) -> dict[str, list[int] | None]:
    """The stamps of data roots, of two levels of what lies in them, and of the single files and folders given."""
    paths: list[Path] = [*files]
    for root in roots:
        level: Sequence[Path] = [root]
        for _ in range(3):
            paths += level
            level = [child for folder in level if folder.is_dir() for child in _some(folder)]
    return {str(path): stamp(path) for path in paths}


def _some(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))[:_LISTED]


def _python_files(table: Path, configs: Path) -> list[Path]:
    roots = {CHECKOUT / room for room in ROOMS} | {configs.resolve(), *(Path.cwd() / room for room in ROOMS)}
    return sorted({table.resolve(), *(file for root in roots if root.is_dir() for file in root.rglob("*.py"))})
