"""What a table is: rows x columns x seeds, and the cells (units of work) that it takes.

A row is a backbone: a pretraining config or an external model. A column is a chain of configs with one headline
metric; the row's backbone flows through the chain, every step a cell of its own, shared by the columns that need it.
Configs are named by path relative to `configs/`, without `.py`, so a table opens without torch and without them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Protocol, TypeVar

from eval.errors import EvalError

_CONFIG = re.compile(r"[a-z]\w*/[\w.-]+")  # stage/stem


@dataclass(frozen=True)
class Row:
    """A backbone: of a pretraining config of ours, or an external one. Exactly one of the two is given."""

    name: str
    pretrain: str | None = None
    """Config path, such as `pretrain/quick_cutmix`."""
    backbone: str | None = None
    """`timm:NAME`, `torchvision:NAME`, a run folder or a backbone file."""
    reference: str | None = None
    """The row of the references file to compare with."""
    baseline: str | None = None
    """Name of the row that it is compared with, its own where with none; None: the table's."""

    def __post_init__(self) -> None:
        if (self.pretrain is None) == (self.backbone is None):
            raise EvalError(f"row {self.name!r}: give either pretrain= or backbone=, and not both")
        if self.pretrain is not None:
            _check_config(f"row {self.name!r}", self.pretrain, stage="pretrain")

    @property
    def key(self) -> str:
        """The row's part of a folder name: the pretraining config's stem, or a slug of the external backbone's name."""
        return _stem(self.pretrain) if self.pretrain is not None else slug(self.backbone or "")


@dataclass(frozen=True)
class Column:
    """A chain of task configs, the first fed by the row's backbone, and the metric of the last one's result."""

    name: str
    steps: tuple[str, ...]
    """Config paths, such as `("transfer/quick_cub", "wsol/quick_cub_cam")`."""
    metric: str
    """A name in the last step's `result.json`."""
    reference: str | None = None
    """The column of the references file to compare with."""

    def __post_init__(self) -> None:
        if not self.steps:
            raise EvalError(f"column {self.name!r}: no steps, expected at least one config path")
        for step in self.steps:
            _check_config(f"column {self.name!r}", step)

    @property
    def key(self) -> str:
        """The name in lower case with dashes, easy to type: `cub-maxboxaccv2`."""
        return slug(self.name).lower()


@dataclass(frozen=True)
class Cell:
    """One unit of work: a config, run on one row's backbone with one seed."""

    stage: str
    config: str
    """Config path, such as `transfer/quick_voc_ssd`."""
    row: str
    """The row's key."""
    seed: int
    folder: str
    """Relative to the folder of runs, with forward slashes."""
    needs: tuple[str, ...] = ()
    """The key of the cell whose backbone it takes; empty where nothing of ours is needed."""
    backbone: str | None = None
    """The external backbone it takes, if it takes one."""

    @property
    def key(self) -> str:
        """A name that no other cell has: its folder, such as `transfer/quick_voc_ssd/quick_cutmix/seed0`."""
        return self.folder

    def command(self, runs: str = "runs", configs: str = "configs") -> tuple[str, ...]:
        """The words after `python` that make this cell, once the cells that it needs are done."""
        words = ["-m", self.stage, *(["run"] if self.stage == "wsol" else []), f"{configs}/{self.config}.py"]
        words += ["--run", f"{runs}/{self.folder}"]
        source = f"{runs}/{self.needs[0]}" if self.needs else self.backbone
        if source is not None:
            words += ["--backbone", source, "--row", self.row]
        return (*words, "--seed", str(self.seed))


@dataclass(frozen=True)
class Table:
    """Rows x columns x seeds. The difference of every row to its baseline is shown, and the references' numbers."""

    name: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    seeds: tuple[int, ...] = (0,)
    baseline: str | None = None
    """Name of the row that those without a baseline of their own are compared with."""
    references: str | None = None
    """Config path of the published numbers, such as `references/cutmix_paper`."""
    notes: tuple[str, ...] = ()
    """Sentences to print below the table."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise EvalError(f"table name {self.name!r}: expected letters, digits, '_', '-', '.', as it names files")
        where = f"table {self.name!r}"
        for kind, things in (("row", self.rows), ("column", self.columns)):
            if not things:
                raise EvalError(f"{where}: no {kind}s")
            for attribute in ("name", "key"):
                _check_distinct(f"{where}: two {kind}s with the {attribute}", [getattr(x, attribute) for x in things])
        if not self.seeds or min(self.seeds) < 0:
            raise EvalError(f"{where}: seeds {self.seeds}, expected at least one and none negative")
        _check_distinct(f"{where}: twice the seed", self.seeds)
        names = [None, *(row.name for row in self.rows)]
        for baseline in (self.baseline, *(row.baseline for row in self.rows)):
            if baseline not in names:
                raise EvalError(f"{where}: no row {baseline!r} for baseline; there are {_listed(self.rows)}")

    def baseline_of(self, row: Row) -> Row | None:
        """The row that this one is compared with; None: with none."""
        name = row.baseline or self.baseline
        return next((other for other in self.rows if other.name == name != row.name), None)

    def select(self, rows: Sequence[str] = (), columns: Sequence[str] = (), seeds: Sequence[int] = ()) -> "Table":
        """Part of the table, in the table's order; an empty choice keeps all.

        Rows and columns are matched by name or key, whatever the case; seeds replace the table's. A row whose
        baseline is not chosen is compared with none. Raises EvalError for a name that is not there.
        """
        chosen = _choose("row", self.rows, rows)
        names = [None, *(row.name for row in chosen)]
        chosen = tuple(row if row.baseline in names else replace(row, baseline=row.name) for row in chosen)
        baseline = self.baseline if self.baseline in names else None
        columns_chosen = _choose("column", self.columns, columns)
        seeds = tuple(dict.fromkeys(seeds)) or self.seeds
        return replace(self, rows=chosen, columns=columns_chosen, seeds=seeds, baseline=baseline)


def pretrain_cell(row: Row, seed: int) -> Cell | None:
    """The cell that makes the row's backbone; None for an external one."""
    if row.pretrain is None:
        return None
    return Cell("pretrain", row.pretrain, row.key, seed, f"{row.pretrain}/seed{seed}")


def column_cells(row: Row, column: Column, seed: int) -> tuple[Cell, ...]:
    """The cells behind one number of the table, in dependency order; the last one's result holds the number."""
    first = pretrain_cell(row, seed)
    cells = [] if first is None else [first]
    for place, step in enumerate(column.steps):
        folder = PurePosixPath(step, *map(_stem, column.steps[:place]), row.key, f"seed{seed}")
        needs = (cells[-1].key,) if cells else ()
        backbone = None if cells else row.backbone
        cells.append(Cell(_stage(step), step, row.key, seed, str(folder), needs, backbone))
    return tuple(cells)


def cells(table: Table) -> tuple[Cell, ...]:
    """Every cell of the table once, each after the one that it needs: a row's pretraining, then the row's columns."""
    found: dict[str, Cell] = {}
    for seed in table.seeds:
        for row in table.rows:
            for column in table.columns:
                found.update((cell.key, cell) for cell in column_cells(row, column, seed) if cell.key not in found)
    return tuple(found.values())


def slug(text: str) -> str:
    """A name as a folder can be called: "timm:resnet50.a1_in1k" -> "timm-resnet50.a1_in1k"."""
    return re.sub(r"[^\w.]+", "-", text).strip("-.")


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def key(self) -> str: ...


N = TypeVar("N", bound=_Named)


def _choose(kind: str, things: tuple[N, ...], names: Sequence[str]) -> tuple[N, ...]:
    if not names:
        return things
    known = {word.lower() for thing in things for word in (thing.name, thing.key)}
    wanted = set(_rejoined([name.strip().lower() for name in names], known))
    if unknown := sorted(wanted - known):
        raise EvalError(f"no {kind} {', '.join(map(repr, unknown))}; there are {_listed(things)}")
    return tuple(thing for thing in things if wanted & {thing.name.lower(), thing.key.lower()})


def _rejoined(words: Sequence[str], known: set[str]) -> Iterable[str]:
    """Words that were parted at commas, those of a name that has one ("CUB Loc (top-1, .15)") put together again."""
    start = 0
    while start < len(words):
        ends = [end for end in range(len(words), start, -1) if ", ".join(words[start:end]) in known]
        end = ends[0] if ends else start + 1
        yield ", ".join(words[start:end])
        start = end


def _listed(things: Iterable[_Named]) -> str:
    return ", ".join(f"{thing.name!r} ({thing.key})" for thing in things)


def _check_distinct(message: str, values: Sequence[object]) -> None:
    folded = [value.lower() if isinstance(value, str) else value for value in values]
    for value in folded:
        if folded.count(value) > 1:
            raise EvalError(f"{message} {value!r}")


def _check_config(where: str, path: str, stage: str | None = None) -> None:
    if not _CONFIG.fullmatch(path) or path.endswith(".py") or (stage and _stage(path) != stage):
        raise EvalError(
            f"{where}: config {path!r}, expected a path like '{stage or 'transfer'}/quick_cub', without .py"
        )


def _stage(config: str) -> str:
    return config.split("/")[0]


def _stem(config: str) -> str:
    return config.split("/")[-1]
