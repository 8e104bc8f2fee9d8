"""Opens a table file. Imports no torch: a table names its configs by path."""

from pathlib import Path

from core.config import load
from core.errors import UserError
from eval.table import Table


def load_table(path: Path, seeds: tuple[int, ...] = ()) -> Table:
    """The table that a file defines as `config`; `seeds`, where given, instead of its own.

    Raises:
        UserError: no such file, or it does not define a table.
    """
    table = load(path)
    if not isinstance(table, Table):
        raise UserError(f"{path}: expected `config` to be a Table, it is a {type(table).__name__}")
    return table.select(seeds=seeds)
