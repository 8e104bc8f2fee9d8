"""One row an image, written as it is made: memory does not grow with the number of images."""

import csv
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from core import atomic

NAME = "per_image"
_CHUNK = 4096  # rows of a Parquet row group
Row = Mapping[str, Any]


def write(folder: Path, rows: Iterable[Row], kind: Literal["csv", "parquet"]) -> Path:
    """Write per_image.csv or per_image.parquet, whole or not at all; returns its path.

    The first row's names are the columns; None is an empty cell.
    """
    path = folder / f"{NAME}.{kind}"
    with atomic.replacing(path) as temporary:
        {"csv": _csv, "parquet": _parquet}[kind](temporary, rows)
    return path


def _csv(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(file, list(row), lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)


def _parquet(path: Path, rows: Iterable[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None
    schema: Any = None
    unread = iter(rows)
    try:
        while chunk := [dict(row) for row in itertools.islice(unread, _CHUNK)]:
            table = pa.Table.from_pylist(chunk, schema=schema)
            if schema is None:  # a column that is empty so far will hold numbers, if anything
                fields = [field.with_type(pa.float64()) if pa.types.is_null(field.type) else field
                          for field in table.schema]  # fmt: skip
                schema = pa.schema(fields)
                writer, table = pq.ParquetWriter(path, schema), table.cast(schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        pq.write_table(pa.table({}), path)
