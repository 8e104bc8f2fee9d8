"""Numbers of runs that are there, as a table or a figure.

`python -m eval table TABLE` prints a table, and writes it as Markdown and CSV.
`python -m eval curves RUN ... --out FIGURE` draws the errors of training and validation over epochs.
`python -m eval detection PREDICTIONS --voc ROOT` scores detections of any program.
`python -m eval captions RESULTS --references FILE` scores captions of any program.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from eval.captions import command as captions
from eval.detection import command as detection
from eval.errors import EvalError
from eval.files import replacing


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Exit code 2 with a message for wrong input, 1 for a closed pipe, 130 for Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m eval", description=__doc__)
    commands = parser.add_subparsers(required=True)
    table = commands.add_parser("table", help="print a table and write runs/tables/NAME.md and .csv")
    table.add_argument("table", help="a table file, or the name of one in configs/tables")
    table.add_argument("--runs", type=Path, default=Path("runs"), help="folder of all runs (default: %(default)s)")
    table.add_argument("--rows", type=_words, default=[], help="rows to print, by name or key, with commas")
    table.add_argument("--columns", type=_words, default=[], help="columns to print, by name or key, with commas")
    table.add_argument("--seeds", type=_numbers, default=[], help="seeds instead of the table's own, with commas")
    table.set_defaults(run=_table)
    curves = commands.add_parser("curves", help="draw the error over epochs of runs, seeds of a row as mean and band")
    curves.add_argument(
        "folders", nargs="+", type=Path, metavar="RUN", help="a run's folder, or a row's with its seeds"
    )
    curves.add_argument("--out", type=Path, required=True, help="the figure: curves.png, .pdf, .svg")
    errors = ("top1_error", "top5_error")
    curves.add_argument("--metric", choices=errors, default=errors[0], help="which error (default: %(default)s)")
    curves.set_defaults(run=_curves)
    of_detections = commands.add_parser("detection", help=detection.ABOUT, description=detection.ABOUT)
    detection.add_arguments(of_detections)
    of_detections.set_defaults(run=detection.run)
    of_captions = commands.add_parser("captions", help=captions.ABOUT, description=captions.ABOUT)
    captions.add_arguments(of_captions)
    of_captions.set_defaults(run=captions.run)
    args = parser.parse_args(argv)
    try:
        args.run(args)
        sys.stdout.flush()
    except EvalError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where Python flushes once more as it exits
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 128 + signal.SIGINT
    return 0


def _table(args: argparse.Namespace) -> None:
    """The files hold the whole table whatever is printed."""
    from eval.load import find_references, find_table, load
    from eval.references import References
    from eval.render import View, as_csv, below, coloured, markdown, text
    from eval.report import collect, planned
    from eval.table import Table

    path = find_table(args.table)
    table = load(path, Table).select(seeds=args.seeds)
    shown = table.select(args.rows, args.columns)
    references = load(find_references(table.references, path), References) if table.references else None
    report = collect(table, args.runs, references)
    commands = [cell.get("command", ()) for cell in planned(table, args.runs).values()]
    roots = {command[command.index("--data-root") + 1] for command in commands if "--data-root" in command}
    make = _make(args, path, roots.pop() if len(roots) == 1 else None)

    folder = args.runs / "tables"
    whole = View(report, table.rows, table.columns, make)
    _write(folder / f"{table.name}.md", markdown(whole))
    _write(folder / f"{table.name}.csv", as_csv(whole))

    view = View(report, shown.rows, shown.columns, make)
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(coloured(view))
        sys.stdout.write(below(view))
    else:
        sys.stdout.write(text(view))
    sys.stdout.write(f"\nWritten: {folder / table.name}.md, {folder / table.name}.csv\n")


def _curves(args: argparse.Namespace) -> None:
    """The figure, and each row's last and lowest error as a line."""
    from eval.curves import draw, read_rows

    rows = read_rows(args.folders, args.metric)
    draw(rows, args.out, args.metric)
    sys.stdout.write("".join(f"{row.text()}\n" for row in rows) + f"\nWritten: {args.out}\n")


def _make(args: argparse.Namespace, path: Path, data: str | None) -> tuple[str, ...]:
    """The command that makes the table's cells, with the data root of the last launch."""
    words = ["make", "transfer-all", f"TABLE={path.stem if path.parent.name == 'tables' else path}"]
    if data:
        words.append(f"DATA={data}")
    if args.seeds:
        words.append(f"SEEDS={','.join(map(str, args.seeds))}")
    if args.runs != Path("runs"):
        words.append(f"RUNS={args.runs}")
    return tuple(words)


def _write(path: Path, content: str) -> None:
    """All or nothing: a disk that is full leaves the old file."""
    with replacing(path) as part:
        part.write_text(content, encoding="utf-8")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _numbers(text: str) -> list[int]:
    return [int(word) for word in _words(text)]


if __name__ == "__main__":
    sys.exit(main())
