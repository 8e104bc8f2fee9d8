"""One cell as a command line names it: config, row, folder, digest; opened before its work, its result written after.

This module imports torch only where a cell runs.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from core import provenance
from core.config import digest, plain
from core.run import Run, open_run
from core.stage import Job, Outcome, Stage, cell_digest, fingerprint, upstream_digest

StageT = TypeVar("StageT", bound=Stage)
T = TypeVar("T")


@dataclass(frozen=True)
class Cell(Generic[StageT]):
    """A config to run, and what the command line says of it."""

    stage: str
    """"pretrain", "transfer" or "wsol": the first folder below runs/."""
    stem: str
    """The config's name."""
    config: StageT
    backbone: str | None = None
    """Where the backbone comes from; None: this cell makes one."""
    given_row: str | None = None
    """The row's name, where the command line says it."""
    given_folder: Path | None = None
    """The run's folder, where the command line says it."""
    runs: Path = Path("runs")
    """The folder of all runs."""
    seen: dict[tuple[str, str], Any] = field(default_factory=dict)
    """What cells side by side have read of the data, once for all of them: a big set takes minutes to list."""

    @cached_property
    def row_and_steps(self) -> tuple[str, list[str]]:
        """The row's name, and the stems of all steps between the row's backbone and this cell, as tables name folders.

        Both come from the backbone's result where it is a run. A backbone that is made here is a row of its own: it has
        the name of its folder, as runs/pretrain/ROW/seedN has it, so that one with other fields than its config's does
        not pass for the config's. UserError: the backbone's run is not done.
        """
        if self.backbone is None:
            return self.given_row or (_row_of(self.given_folder) if self.given_folder else "") or self.stem, []
        if not Path(self.backbone).is_dir():
            return self.given_row or provenance.slug(self.backbone), []
        before = provenance.read_result(Path(self.backbone))
        steps = [] if before["stage"] == "pretrain" else [*before.get("steps", []), str(before["config"])]
        return self.given_row or str(before["row"]), steps

    @property
    def folder(self) -> Path:
        """The run's folder."""
        row, steps = self.row_and_steps
        rows = [row] if self.backbone else []
        return self.given_folder or self.runs.joinpath(self.stage, self.stem, *steps, *rows, f"seed{self.config.seed}")

    @property
    def shared(self) -> Path | None:
        """The folder of all runs, for what cells share; None where this run has a folder apart.

        A folder that the command line gives, as a launcher's does, lies among the runs if it is named as they are.
        """
        folder = self.folder
        above = (up for up in folder.parents if folder.relative_to(up).parts[:2] == (self.stage, self.stem))
        return next(above, None)

    @cached_property
    def description(self) -> dict[str, Any]:
        """What config.json holds: the digest and everything that went into it. UserError: data or backbone missing."""
        upstream = upstream_digest(self.backbone)
        data = self._once("fingerprint", lambda: fingerprint(self.config))
        return {
            "digest": cell_digest(self.config, data, upstream),
            "config": plain(self.config, hashed_only=True),
            "fingerprint": data,
            "upstream": upstream,
        }

    def open(self, *, force: bool) -> Run:
        """The run in the cell's folder. UserError as in `open_run`."""
        config = self.config
        return open_run(
            self.folder, self.description, force=force, log_every=config.log_every, tensorboard=config.tensorboard
        )

    def finish(self, job: Job, outcome: Outcome) -> None:
        """Write result.json. OSError: the disk is full; the run goes on from what it has."""
        row, steps = self.row_and_steps
        needs, root = self.config.needs(), self.config.root
        job.run.finish(
            {
                "schema": 1,
                "stage": self.stage,
                "config": self.stem,
                "row": row,
                "steps": steps,
                "seed": self.config.seed,
                "metrics": {name: vars(metric) for name, metric in outcome.metrics.items()},
                "data": self._once("used", lambda: provenance.data_used(needs, root)),
                **{key: self.description[key] for key in ("digest", "fingerprint", "upstream")},
                "config_digest": digest(self.description["config"]),
                "backbone_sha256": provenance.backbone_sha256(self.backbone),
                **provenance.environment(job.fabric.device, job.fabric.world_size),
                "seconds": round(job.run.seconds, 3),
                "more": outcome.more,
            }
        )

    def _once(self, what: str, read: Callable[[], T]) -> T:
        key = what, repr((self.config.root, self.config.needs()))
        if key not in self.seen:
            self.seen[key] = read()
        found: T = self.seen[key]
        return found


def _row_of(run: Path) -> str:
    folder = run.absolute()
    return provenance.slug((folder.parent if re.fullmatch(r"seed\d+", folder.name) else folder).name)
