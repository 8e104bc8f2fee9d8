"""Published numbers to print beside ours."""

from collections.abc import Mapping
from dataclasses import dataclass

from eval.errors import EvalError


@dataclass(frozen=True)
class ReferenceColumn:
    """One published column."""

    source: str
    """Where it was published, with the protocol where that matters."""
    values: Mapping[str, float]
    """Number of every row that the source has."""
    unit: str = "%"
    decimals: int = 1
    """How many the source prints."""
    notes: tuple[str, ...] = ()
    """What a reader has to know, such as sources that contradict each other."""


@dataclass(frozen=True)
class References:
    """The columns of one publication, named by the `reference` of a table's rows and columns."""

    title: str
    columns: Mapping[str, ReferenceColumn]

    def column(self, name: str) -> ReferenceColumn:
        """The column of that name; EvalError with the names there are."""
        if name not in self.columns:
            raise EvalError(f"references {self.title!r}: no column {name!r}; there are {', '.join(self.columns)}")
        return self.columns[name]

    def check_row(self, name: str) -> None:
        """EvalError with the names there are, where no column has this row."""
        known = dict.fromkeys(row for column in self.columns.values() for row in column.values)
        if name not in known:
            raise EvalError(f"references {self.title!r}: no row {name!r}; there are {', '.join(known)}")
