"""Resolves a table's configs into a plan file: `python -m launch.resolve TABLE --out FILE`; launch/plan.py runs it.

A process of its own, because configs import torch. A config that fails to load is an error of its own cells alone.
"""

import argparse
import contextlib
import dataclasses
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core import atomic
from core.config import digest, load, plain
from core.data.records import Need
from core.errors import UserError
from core.stage import Stage, cell_digest, fingerprint, upstream_digest
from eval.load import load as load_table
from eval.table import Cell, Table, cells
from launch.plan import DataUse, Plan, PlannedCell, Source, watch
from launch.worker import die_with_parent


@dataclass
class Resolver:
    """Resolves the cells of one table in order; what cells share is read once."""

    source: Source
    table: Table
    dry_run: bool = False
    _configs: dict[str, Stage | str] = field(default_factory=dict)
    _fingerprints: dict[str, str] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _digests: dict[str, str | None] = field(default_factory=dict)

    def plan(self) -> Plan:
        """The plan of the whole table; writes the synthetic worlds that it needs unless this is a dry run."""
        todo = cells(self.table)
        configs = {cell.key: self._config(cell) for cell in todo}
        loaded = [config for config in configs.values() if isinstance(config, Stage)]
        if not self.dry_run:
            for world in {config.root: config for config in loaded}.values():
                world.prepare()
        # Stamped before anything is read: what changes while we read makes the plan stale.
        backbones = [Path(cell.backbone) for cell in todo if cell.backbone is not None]
        files = [file for path in backbones for file in (path, path / "result.json")]
        watched = watch({config.root for config in loaded}, [*files, *_data_files(loaded)])
        return Plan(self.table.name, tuple(self._cell(cell, configs[cell.key]) for cell in todo), watched)

    def _config(self, cell: Cell) -> Stage | str:
        """The cell's config with its seed and data root, or what is wrong with it."""
        if cell.config not in self._configs:
            try:
                config = load(self.source.configs / f"{cell.config}.py")
                ok = isinstance(config, Stage)
                message = f"{cell.config}: expected the config of a stage, it defines a {type(config).__name__}"
                self._configs[cell.config] = config if ok else message
            except (UserError, SystemExit) as error:
                self._configs[cell.config] = str(error)
        config = self._configs[cell.config]
        if isinstance(config, str):
            return config
        root = config.data_root if self.source.data_root is None else self.source.data_root
        try:
            return dataclasses.replace(config, seed=cell.seed, data_root=root)
        except ValueError as error:
            return f"{cell.config}: {error}"

    def _cell(self, cell: Cell, config: Stage | str) -> PlannedCell:
        root = self.source.data_root
        extra = ("--data-root", str(root)) if root is not None else ()
        command = (*cell.command(str(self.source.runs), str(self.source.configs)), *extra)
        bare = PlannedCell(cell.key, cell.stage, cell.config, cell.row, cell.seed, cell.needs, command)
        if isinstance(config, str):
            return dataclasses.replace(bare, error=config)
        try:
            found = self._resolved(cell, config, bare)
        except UserError as error:
            found = dataclasses.replace(bare, error=f"{cell.config}: {error}")
        except Exception as error:  # a stage's own code, on one config: its cells alone are lost
            found = dataclasses.replace(bare, error=f"{cell.config}: {type(error).__name__}: {error}")
        self._digests[cell.key] = found.digest
        return found

    def _resolved(self, cell: Cell, config: Stage, bare: PlannedCell) -> PlannedCell:
        uses = tuple(self._use(config, need) for need in config.needs())
        counts = {(use.name, use.split): use.images for use in uses}
        unknown = any(images is None for images in counts.values())
        images = None if unknown else config.images(lambda need: counts[need.data.name, need.split] or 0)
        config_digest = digest(plain(config, hashed_only=True))
        found = dataclasses.replace(bare, data=uses, images=images, config_digest=config_digest)
        upstream = self._digests.get(cell.needs[0]) if cell.needs else upstream_digest(cell.backbone)
        if any(use.missing for use in uses) or (cell.needs and upstream is None):
            return found
        return dataclasses.replace(found, digest=cell_digest(config, self._fingerprint(config), upstream))

    def _use(self, config: Stage, need: Need) -> DataUse:
        world = config.world if config.data_root is None else None
        if world is not None:
            world.there(config.root)  # refuses another world in its folder, in a dry run too
        missing = need.data.missing(config.root, need.split, boxes=need.boxes)
        images: int | None = None
        if missing is None:
            images = self._count(config.root, need)
        elif world is not None:
            images = world.images(need.data.name, need.split)
        else:
            images = need.data.published(need.split)
        return DataUse(need.data.name, need.split, str(config.root), images, missing, world is not None)

    def _count(self, root: Path, need: Need) -> int:
        key = str((root, need.data, need.split))
        if key not in self._counts:
            self._counts[key] = len(need.data.records(root, need.split))
        return self._counts[key]

    def _fingerprint(self, config: Stage) -> str:
        key = str((config.root, config.needs()))
        if key not in self._fingerprints:
            self._fingerprints[key] = fingerprint(config)
        return self._fingerprints[key]


def _data_files(configs: Sequence[Stage]) -> list[Path]:
    """The annotations, split files and folders that the configs' data sets name, each once."""
    found: dict[Path, None] = {}
    seen: set[str] = set()
    for config in configs:
        with contextlib.suppress(Exception):  # a stage's own code: what is wrong is said of its cell, not here
            for need in config.needs():
                key = str((config.root, need.data, need.split))
                if key not in seen:
                    found.update(dict.fromkeys(need.data.watched(config.root, need.split)))
                seen.add(key)
    return list(found)


def main(argv: Sequence[str] | None = None) -> int:
    """Resolve a table and write its plan. Exit code 2 for what the user can mend."""
    parser = argparse.ArgumentParser(prog="python -m launch.resolve", description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--seeds", default="")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--key", help="hash of what the plan is made from (default: made anew)")
    parser.add_argument("--dry-run", action="store_true", help="write no synthetic world")
    args = parser.parse_args(argv)
    seeds = tuple(int(word) for word in args.seeds.split(",") if word)
    source = Source(args.table, args.runs, args.data_root, seeds)
    try:
        table = load_table(args.table, Table).select(seeds=seeds)
        plan = Resolver(source, table, args.dry_run).plan()
    except (ValueError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    args.out.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_json(args.out, plan.to_json(args.key or source.key()))
    return 0


if __name__ == "__main__":
    die_with_parent(signal.SIGTERM, None)
    sys.exit(main())
