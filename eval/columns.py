"""Small tables of numbers as plain text."""

from collections.abc import Collection, Sequence

Line = list[str | float]
"""A line of a table."""


def columns(head: Sequence[str], lines: Sequence[Sequence[str | float]]) -> str:
    """Columns of equal width, the first to the left; a line may end early. Floats have two decimals."""
    cells = [list(head), *([_cell(value) for value in line] for line in lines)]
    widths = [max(len(line[i]) for line in cells if i < len(line)) for i in range(len(head))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in cells
    )


def between(interval: tuple[float, float]) -> str:
    """An interval, two decimals."""
    return f"{interval[0]:.2f} to {interval[1]:.2f}"


def count(number: int, what: str) -> str:
    """A number of things: "1 image", "1,000 images"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def first_ten(ids: Collection[object]) -> str:
    """The first ten ids: "7, 9, 12"; dots where there are more."""
    return ", ".join(map(str, list(ids)[:10])) + (", ..." if len(ids) > 10 else "")


def _cell(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}" if isinstance(value, float) else f"{value:,}"
