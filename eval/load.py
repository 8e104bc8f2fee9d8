"""Opens the Python files that define a table or references as `config`. Starts nothing heavy."""

import importlib.util
from pathlib import Path
from typing import TypeVar

from eval.errors import EvalError

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
C = TypeVar("C")


def find_table(name: str) -> Path:
    """The file of a table, from its path or its name in configs/tables; EvalError with the tables there are."""
    tables = CONFIGS / "tables"
    for path in (Path(name), tables / f"{name.removeprefix('tables/')}.py"):
        if path.is_file():
            return path
    there = ", ".join(sorted(path.stem for path in tables.glob("[!_]*.py"))) or "none"
    raise EvalError(f"no table {name!r}: neither a file nor a name in {tables}; there are {there}")


def find_references(config: str, table: Path) -> Path:
    """The file of a table's references: in the configs folder that the table stands in, else the checkout's."""
    places = (table.resolve().parent.parent, CONFIGS)
    for folder in places:
        if (path := folder / f"{config}.py").is_file():
            return path
    raise EvalError(f"{table}: no references {config!r}; looked in {places[0]} and {places[1]}")


def load(path: Path, kind: type[C]) -> C:
    """Runs a config file and returns its `config`, which has to be of that kind; EvalError names the file otherwise."""
    spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise EvalError(f"{path}: {type(error).__name__}: {error}") from error
    config = getattr(module, "config", None)
    if not isinstance(config, kind):
        raise EvalError(f"{path}: expected `config` to be a {kind.__name__}, it is {type(config).__name__}")
    return config
